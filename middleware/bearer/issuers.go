package bearer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

// Issuers accepts the tokens of several issuers, as one [middleware.Revocable]. The iss of a
// JWT decides which Authenticator is asked, and only that one's keys and rules count. Every
// other token goes to the Introspector, if there is one; its issuer may be that of an
// Authenticator. It is safe for concurrent use. The zero value refuses every token.
type Issuers struct {
	boundsItself

	first        Issuer
	list         []*Authenticator
	introspector *Introspector // nil: none
}

// Issuer is one of those in Issuers: an [Authenticator] or an [Introspector].
type Issuer interface {
	middleware.Revocable
	middleware.Challenger
	middleware.Stripper
	middleware.Asker
	middleware.Owner

	admit(r *http.Request, token string) (middleware.Principal, error)
	rulesOrNil() *rules // nil for a nil or zero one
}

func (a *Authenticator) rulesOrNil() *rules {
	if a.zero() {
		return nil
	}
	return &a.rules
}

func (i *Introspector) rulesOrNil() *rules {
	if i.zero() {
		return nil
	}
	return &i.rules
}

// NewIssuers returns the Issuers over at least one Authenticator or Introspector: any number
// of Authenticators, each of another issuer, and at most one Introspector. The caller closes
// them.
func NewIssuers(list ...Issuer) (*Issuers, error) {
	s := &Issuers{}
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("bearer: NewIssuers: "+format, args...))
	}
	if len(list) == 0 {
		wrong("none is given: name at least one Authenticator or Introspector")
	}
	for n, x := range list {
		if x == nil || x.rulesOrNil() == nil {
			wrong("number %d is nil or zero: use one of New or NewIntrospector", n)
			continue
		}
		if s.first == nil {
			s.first = x
		}
		if x.rulesOrNil().resource.document.Resource != s.first.rulesOrNil().resource.document.Resource {
			wrong("%s: Resource differs from the first: write the same for all, because it is this service", x.rulesOrNil().issuer.name)
		}
		if x.rulesOrNil().fromSubprotocol != s.first.rulesOrNil().fromSubprotocol {
			wrong("%s: FromSubprotocol differs from the first: write the same for all, because a token is found before its issuer is read",
				x.rulesOrNil().issuer.name)
		}
		switch x := x.(type) {
		case *Authenticator:
			if slices.ContainsFunc(s.list, func(b *Authenticator) bool { return b.rules.issuer.name == x.rules.issuer.name }) {
				wrong("%s is given twice: name each issuer once", x.rules.issuer.name)
			}
			s.list = append(s.list, x)
		case *Introspector:
			if s.introspector != nil {
				wrong("%s: a second Introspector: an opaque token does not tell which of them to ask", x.rules.issuer.name)
			}
			s.introspector = x
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// Ambient is false: browsers never send a bearer token automatically.
func (s *Issuers) Ambient() bool { return false }

// Exclusive names [NewIssuers]: two Issuers are one with the Authenticators of both.
func (s *Issuers) Exclusive() string { return "bearer.NewIssuers" }

// Challenge is that of the first.
func (s *Issuers) Challenge() string { return s.firstOrZero().Challenge() }

// Stripped is that of the first: whether FromSubprotocol is set is the same for all.
func (s *Issuers) Stripped(r *http.Request) *http.Request { return s.firstOrZero().Stripped(r) }

// firstOrZero returns the first, or a zero one.
func (s *Issuers) firstOrZero() Issuer {
	if s == nil || s.first == nil {
		return (*Authenticator)(nil)
	}
	return s.first
}

// Authenticate answers as the Authenticator of the token's issuer does
// ([Authenticator.Authenticate]). A token that is not a JWT of such an issuer is answered as the
// Introspector does ([Introspector.Authenticate]), or with 401 credential_invalid. A JWT whose
// claims cannot be read is 401 credential_invalid in any case.
func (s *Issuers) Authenticate(r *http.Request) (middleware.Principal, error) {
	first := s.firstOrZero()
	rules := first.rulesOrNil()
	if rules == nil {
		return first.Authenticate(r)
	}
	token, err := credential(r, rules.fromSubprotocol)
	switch {
	case err == middleware.ErrNoCredential:
		return middleware.Principal{}, err
	case err != nil:
		return middleware.Principal{}, rules.refuse(err)
	}
	iss, err := unverifiedIssuer(token)
	if err == nil {
		err = fmt.Errorf("%w: iss is %.200q; want one of those in NewIssuers", errIssuer, iss)
		for _, a := range s.list {
			if a.rules.issuer.owns(iss) {
				return a.admit(r, token)
			}
		}
	}
	if s.introspector != nil && err != errClaims {
		return s.introspector.admit(r, token)
	}
	return middleware.Principal{}, rules.refuse(err)
}

// Alive answers as the Introspector does for a principal with a SealedToken
// ([Introspector.Alive]), and otherwise as the Authenticator of the principal's issuer
// ([Authenticator.Alive]); nil if there is none.
func (s *Issuers) Alive(ctx context.Context, p middleware.Principal) error {
	if s == nil || s.first == nil {
		return s.firstOrZero().Alive(ctx, p)
	}
	if p.SealedToken != "" && s.introspector != nil {
		return s.introspector.Alive(ctx, p)
	}
	for _, a := range s.list {
		if a.rules.issuer.owns(p.Issuer) {
			return a.Alive(ctx, p)
		}
	}
	return nil
}

// Owns implements middleware.Owner: p is of a token of one of them.
func (s *Issuers) Owns(p middleware.Principal) bool {
	return slices.ContainsFunc(s.all(), func(x Issuer) bool { return x.Owns(p) })
}

// Follow follows each of them, see [Authenticator.Follow].
func (s *Issuers) Follow(fn func(middleware.Revocation)) (stop func()) {
	var follows []func(func(middleware.Revocation)) func()
	for _, x := range s.all() {
		follows = append(follows, x.Follow)
	}
	return bounded.FollowAll(fn, follows...)
}

// Asks returns the Sessions of each of them: see [middleware.Asker].
func (s *Issuers) Asks() (asked []middleware.Revocable) {
	for _, x := range s.all() {
		asked = append(asked, x.Asks()...)
	}
	return asked
}

func (s *Issuers) all() (all []Issuer) {
	if s == nil {
		return nil
	}
	for _, a := range s.list {
		all = append(all, a)
	}
	if s.introspector != nil {
		all = append(all, s.introspector)
	}
	return all
}

// unverifiedIssuer returns the iss by which the Authenticator is chosen; it proves nothing. It does not
// read the signature: a spelling that another verifier reads does not make it a token of another
// issuer. The error is errClaims if the token is a JWT whose issuer is not known.
func unverifiedIssuer(token string) (string, error) {
	if strings.Count(token, ".") != 2 { // an encrypted JWT has four (RFC 7516 §7.1)
		return "", errShape
	}
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	doc, err := base64.RawURLEncoding.DecodeString(payload)
	var members []member
	if err == nil {
		members, err = object(doc)
	}
	switch {
	case err != nil && isJWS(token):
		return "", errClaims
	case err != nil:
		return "", errShape
	}
	value := find(members, "iss")
	if value == nil {
		return "", errMissing
	}
	iss, _ := text(value)
	return iss, nil
}
