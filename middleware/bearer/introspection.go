package bearer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/securews/securews/middleware"
)

// Introspector accepts opaque access tokens of one issuer, by asking its introspection
// endpoint about them (RFC 7662). It is a [middleware.Revocable], a [middleware.Challenger],
// a [middleware.Stripper] and a [middleware.Asker], and safe for concurrent use. The zero
// value refuses every token. A process has one for each issuer; it and an [Authenticator],
// of the same or of other issuers, go into one middleware.Auth as [Issuers].
//
// Every token that is not known costs the issuer an answer, so put a [middleware.RateLimit]
// per client address in front. At most 32 tokens that were never accepted are
// introspected at a time, and as many of the others.
type Introspector struct {
	boundsItself

	rules    rules
	liveness liveness
	prefix   string
	cacheFor time.Duration
	sealer   sealer
	answers  *answers
}

// NewIntrospector returns an Introspector, or everything that is wrong with the
// IntrospectionConfig. It sends nothing.
func NewIntrospector(cfg IntrospectionConfig) (*Introspector, error) {
	cfg = cfg.defaulted()
	claims := cfg.config()
	if err := errors.Join(cfg.validate(claims)...); err != nil {
		return nil, err
	}
	i := &Introspector{
		rules: newRules(claims, algorithmSet{}), liveness: newLiveness(claims),
		prefix: cfg.ClientPrefix, cacheFor: cfg.CacheFor, sealer: newSealer(cfg.Key),
	}
	i.rules.setting = "IntrospectionConfig.Require and Forbid"
	e := newEndpoint(cfg)
	i.answers = newAnswers(func(ctx context.Context, token string) (*answer, error) {
		asOf := time.Now()
		body, err := e.send(ctx, token)
		if errors.Is(err, errUnsupported) {
			return &answer{asOf: asOf, refused: errUnsupported}, nil
		}
		if err != nil {
			return nil, withoutToken(err, token)
		}
		a, err := i.read(body, token, asOf)
		return a, withoutToken(err, token)
	}, cfg.Timeout, claims.CacheSize, claims.Log)
	return i, nil
}

func (i *Introspector) zero() bool { return i == nil || i.answers == nil }

// Ambient is false: browsers never send a bearer token automatically.
func (i *Introspector) Ambient() bool { return false }

// Exclusive names [NewIssuers], by which a middleware.Auth has several.
func (i *Introspector) Exclusive() string { return "bearer.NewIssuers" }

// Challenge is the WWW-Authenticate of a request without credential (RFC 6750 §3).
func (i *Introspector) Challenge() string {
	if i.zero() {
		return zeroChallenge
	}
	return i.rules.challenge
}

func (i *Introspector) takesOffered() bool { return i != nil && i.rules.fromSubprotocol }

// Stripped is that of [Authenticator.Stripped].
func (i *Introspector) Stripped(r *http.Request) *http.Request {
	return stripOffered(r, i.takesOffered())
}

// Authenticate returns the principal of the token in the Authorization header or, with
// FromSubprotocol, in a subprotocol. Its errors are those of [Authenticator.Authenticate],
// with these differences:
//
//   - 401 credential_invalid: the issuer says that the token is not active, or that it is for
//     others; credential_expired if an earlier answer had an exp that has passed;
//   - 503 unavailable with Retry-After: the endpoint does not answer, or not in the format of
//     RFC 7662.
//
// An answer serves for CacheFor, and one that refuses the token for 2 s. The principal has the
// token encrypted in SealedToken, and no SigningKey. Principals of one answer share Scopes,
// Roles, Attributes and Claims, which must not be changed. A token with an answer that
// serves costs no allocation.
func (i *Introspector) Authenticate(r *http.Request) (middleware.Principal, error) {
	token, err := credential(r, i.takesOffered())
	switch {
	case err == middleware.ErrNoCredential:
		return middleware.Principal{}, err
	case i.zero():
		return middleware.Principal{}, refuseZero()
	case err != nil:
		return middleware.Principal{}, i.rules.refuse(err)
	}
	return i.admit(r, token)
}

// admit decides about the token of the request.
func (i *Introspector) admit(r *http.Request, token string) (middleware.Principal, error) {
	a, err := i.active(r.Context(), token)
	if err == nil && a.principal.HeldBy(r) != nil {
		err = errBinding
	}
	var p middleware.Principal
	if err == nil {
		p, err = i.liveness.admit(r.Context(), &a.principal)
	}
	if err != nil {
		return middleware.Principal{}, i.rules.refuse(err)
	}
	return p, nil
}

// active returns the answer that accepts the token.
func (i *Introspector) active(ctx context.Context, token string) (*answer, error) {
	if len(token) > DefaultMaxBytes {
		return nil, fmt.Errorf("%w: %d bytes are more than %d", errTooLong, len(token), DefaultMaxBytes)
	}
	a, err := i.answers.about(ctx, token, i.cacheFor, false)
	switch {
	case err != nil:
		return nil, err
	case errors.Is(a.refused, errInactive) && a.verified != nil && i.expired(&a.principal):
		return nil, errExpired
	case a.refused != nil:
		return nil, a.refused
	}
	return a, a.current(time.Now())
}

// expired reports whether exp has passed.
func (i *Introspector) expired(p *middleware.Principal) bool {
	return !time.Now().Before(p.Expires.Add(-i.rules.leeway))
}

// Alive asks the endpoint whether the token behind p, or behind a ticket that was issued for
// it, is still active, and relies on no answer older than 1 s. It also asks Revocations and
// Sessions. Its errors are those of [Introspector.Authenticate], except for:
//
//   - 401 credential_revoked: the token is not active any more, and its exp has not passed;
//   - 401 credential_outdated: its scopes, roles or Claims have changed;
//   - 401 credential_expired: exp has passed, or SealedToken cannot be decrypted here, for
//     instance of a ticket that a node with another Key has issued.
//
// It returns nil for a principal that is not of an opaque token of this issuer.
func (i *Introspector) Alive(ctx context.Context, p middleware.Principal) error {
	switch {
	case p.SealedToken == "":
		return nil
	case i.zero():
		return refuseZero()
	case p.Issuer != i.rules.issuer.name:
		return nil
	case !p.Expires.IsZero() && !time.Now().Before(p.Expires):
		return i.rules.refuse(errExpired)
	}
	if err := i.recheck(ctx, p); err != nil {
		return i.rules.refuse(err)
	}
	return nil
}

// Owns implements middleware.Owner: p is of an opaque token of this issuer.
func (i *Introspector) Owns(p middleware.Principal) bool {
	return !i.zero() && p.SealedToken != "" && p.Issuer == i.rules.issuer.name
}

// recheck is apart from Alive, so that p is not allocated for principals of other kinds.
func (i *Introspector) recheck(ctx context.Context, p middleware.Principal) error {
	err := i.liveness.check(ctx, &p)
	if leavesOpen(err) {
		err = firmer(err, i.ask(ctx, p))
	}
	return err
}

// ask asks the endpoint about the token behind p.
func (i *Introspector) ask(ctx context.Context, p middleware.Principal) error {
	token, err := i.sealer.open(&p)
	if err != nil {
		return err
	}
	a, err := i.answers.about(ctx, token, aliveFor, true)
	switch {
	case err != nil:
		return err
	case errors.Is(a.refused, errInactive) && i.expired(&p):
		return errExpired
	case errors.Is(a.refused, errInactive):
		return fmt.Errorf("%w: %w", errRevoked, errInactive)
	case a.refused != nil:
		return a.refused
	}
	return unchanged(&p, &a.principal)
}

// unchanged compares the principal with that of a new answer.
func unchanged(p, q *middleware.Principal) error {
	switch {
	case p.Subject != q.Subject || p.TokenHandle != q.TokenHandle:
		return fmt.Errorf("%w: the answer is about another token", errEndpoint)
	case !sameWords(p.Scopes, q.Scopes), !sameWords(p.Roles, q.Roles), !maps.Equal(p.Claims, q.Claims):
		return errOutdated
	}
	return nil
}

// sameWords compares without regard to the order.
func sameWords(a, b []string) bool {
	return slices.Equal(a, b) || slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// Follow calls fn with every later revocation of Revocations and Sessions, until stop is
// called: see [Authenticator.Follow]. The issuer reports none; Alive asks.
func (i *Introspector) Follow(fn func(middleware.Revocation)) (stop func()) {
	if i.zero() {
		return func() {}
	}
	return i.liveness.follow(&i.rules.issuer, fn)
}

// Asks returns Sessions, if there are any: see [middleware.Asker].
func (i *Introspector) Asks() []middleware.Revocable {
	if i.zero() {
		return nil
	}
	return i.liveness.asks()
}
