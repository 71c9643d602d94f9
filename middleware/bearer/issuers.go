package bearer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

// Issuers accepts the tokens of several issuers, as one [middleware.Revocable]. The iss of a
// token decides which Authenticator is asked, and only that one's keys and rules count. It
// is safe for concurrent use. The zero value refuses every token.
type Issuers struct {
	boundsItself

	list []*Authenticator
}

// NewIssuers returns the Issuers over at least one Authenticator, each of another issuer.
// The caller closes them.
func NewIssuers(list ...*Authenticator) (*Issuers, error) {
	var errs []error
	if len(list) == 0 {
		errs = append(errs, errors.New("bearer: NewIssuers: none is given: name at least one Authenticator"))
	}
	for i, a := range list {
		if a == nil || a.keys == nil {
			errs = append(errs, fmt.Errorf("bearer: NewIssuers: Authenticator %d is nil or zero: use one of New", i))
			continue
		}
		if slices.ContainsFunc(list[:i], func(b *Authenticator) bool { return b != nil && b.rules.issuer.name == a.rules.issuer.name }) {
			errs = append(errs, fmt.Errorf("bearer: NewIssuers: %s is given twice: name each issuer once", a.rules.issuer.name))
		}
		if a.named() != list[0].named() {
			errs = append(errs, fmt.Errorf("bearer: NewIssuers: %s: Resource differs from the first: write the same for all, because it is this service", a.rules.issuer.name))
		}
		if a.takesOffered() != list[0].takesOffered() {
			errs = append(errs, fmt.Errorf("bearer: NewIssuers: %s: FromSubprotocol differs from the first: write the same for all, because a token is found before its issuer is read", a.rules.issuer.name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Issuers{list: slices.Clone(list)}, nil
}

// Ambient is false: browsers never send a bearer token automatically.
func (s *Issuers) Ambient() bool { return false }

// Exclusive names [NewIssuers]: two Issuers are one with the Authenticators of both.
func (s *Issuers) Exclusive() string { return "bearer.NewIssuers" }

// Challenge is that of the first Authenticator.
func (s *Issuers) Challenge() string { return s.first().Challenge() }

// Stripped is that of the first Authenticator: whether FromSubprotocol is set is the same
// for all.
func (s *Issuers) Stripped(r *http.Request) *http.Request { return s.first().Stripped(r) }

func (s *Issuers) first() *Authenticator {
	if s == nil || len(s.list) == 0 {
		return nil
	}
	return s.list[0]
}

// Authenticate answers as the Authenticator of the token's issuer does
// ([Authenticator.Authenticate]); a token of no known issuer is 401 credential_invalid.
func (s *Issuers) Authenticate(r *http.Request) (middleware.Principal, error) {
	first := s.first()
	if first == nil {
		return first.Authenticate(r)
	}
	token, err := credential(r, first.takesOffered())
	switch {
	case err == middleware.ErrNoCredential:
		return middleware.Principal{}, err
	case err != nil:
		return middleware.Principal{}, first.rules.refuse(err)
	}
	iss, err := unverifiedIssuer(token)
	if err != nil {
		return middleware.Principal{}, first.rules.refuse(err)
	}
	for _, a := range s.list {
		if a.rules.issuer.owns(iss) {
			return a.admit(r, token)
		}
	}
	return middleware.Principal{}, first.rules.refuse(errIssuer)
}

// Alive answers as the Authenticator of the principal's issuer does
// ([Authenticator.Alive]); nil if there is none.
func (s *Issuers) Alive(ctx context.Context, p middleware.Principal) error {
	if s.first() == nil {
		return s.first().Alive(ctx, p)
	}
	for _, a := range s.list {
		if a.rules.issuer.owns(p.Issuer) {
			return a.Alive(ctx, p)
		}
	}
	return nil
}

// Follow follows every Authenticator, see [Authenticator.Follow].
func (s *Issuers) Follow(fn func(middleware.Revocation)) (stop func()) {
	var follows []func(func(middleware.Revocation)) func()
	if s != nil {
		for _, a := range s.list {
			follows = append(follows, a.Follow)
		}
	}
	return bounded.FollowAll(fn, follows...)
}

// Asks returns the Sessions of every Authenticator: see [middleware.Asker].
func (s *Issuers) Asks() (asked []middleware.Revocable) {
	if s != nil {
		for _, a := range s.list {
			asked = append(asked, a.Asks()...)
		}
	}
	return asked
}

// unverifiedIssuer returns the iss by which the Authenticator is chosen; it proves nothing.
func unverifiedIssuer(token string) (string, error) {
	_, payload, _, err := split(token)
	if err != nil {
		return "", err
	}
	doc, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return "", errShape
	}
	members, err := object(doc)
	if err != nil {
		return "", errClaims
	}
	for _, m := range members {
		if string(m.name) == "iss" {
			iss, _ := text(m.value)
			return iss, nil
		}
	}
	return "", errMissing
}
