package bearer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/handle"
	"github.com/securews/securews/middleware"
)

// TokenHandle is the Principal.TokenHandle of a token with a jti: a middleware.Revocation
// with it revokes that one token. It is the base64url SHA-256 of the issuer, a NUL and the
// jti.
func TokenHandle(issuer, jti string) string {
	return handle.Of(issuer, jti)
}

// TokenHandleOf is the Principal.TokenHandle of a token without a jti: the base64url SHA-256
// of an opaque token, and of the signed part of a JWT, that is of all before its last dot. The
// signature is left out because a holder can make a second valid ECDSA signature out of the
// first.
func TokenHandleOf(token string) string {
	if isJWS(token) {
		token = signedPart(token)
	}
	return handle.Of(token)
}

func signedPart(jws string) string { return jws[:strings.LastIndexByte(jws, '.')] }

// SessionHandle is the Principal.SessionHandle of a token with a sid claim, without
// Config.Sessions: a middleware.Revocation with it revokes all tokens of that session at
// the issuer (OpenID Connect Back-Channel Logout 1.0 §2.1). It is the base64url SHA-256 of
// the issuer, a NUL and the sid.
func SessionHandle(issuer, sid string) string {
	return handle.Of(issuer, sid)
}

// Sessions has the sessions that tokens are issued in. A *session.Manager is one.
// Implementations are safe for concurrent use.
type Sessions interface {
	middleware.Revocable

	// SessionAlive returns the subject of the live session with that
	// Principal.SessionHandle, or a [middleware.Refusal] of 401 if the session has ended.
	// Any other error means that the answer is not known.
	SessionAlive(ctx context.Context, handle string) (subject string, err error)
}

// askTimeout bounds the wait for Revocations and Sessions together, in one request.
const askTimeout = time.Second

// asking is the one way to Config.Revocations and Config.Sessions; either may be nil.
type asking struct {
	leeway          time.Duration
	revocations     middleware.Revocations
	revocationCalls bounded.Caller
	sessions        Sessions
	sessionCalls    bounded.Caller
}

func newAsking(cfg Config) asking {
	return asking{
		leeway:      cfg.Leeway,
		revocations: cfg.Revocations, revocationCalls: bounded.NewCaller(cfg.Revocations),
		sessions: cfg.Sessions, sessionCalls: bounded.NewCaller(cfg.Sessions),
	}
}

var (
	errRevoked     = errors.New("token is revoked")
	errAround      = errors.New("token was issued within Leeway of a revocation of its subject")
	errSubject     = errors.New("token names a session of another subject")
	errRevocations = errors.New("revocations do not answer")
	errSessions    = errors.New("sessions")
)

// ask returns nil if neither the token nor its session has ended.
func (a *asking) ask(ctx context.Context, p *middleware.Principal) error {
	revocations, sessions := a.revocations != nil, a.sessions != nil && p.SessionHandle != ""
	if revocations && !a.revocationCalls.Direct() || sessions && !a.sessionCalls.Direct() {
		limited, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		ctx = limited
	}
	if revocations {
		if err := a.askRevocations(ctx, p); err != nil {
			return err
		}
	}
	if sessions {
		return a.askSessions(ctx, p)
	}
	return nil
}

// dateUnit is the precision of iat in most tokens.
const dateUnit = time.Second

// askRevocations asks twice about a revoked token. A revocation of its subject compares iat
// with a cut-off, and the two come from different clocks. If iat is within the leeway of the
// cut-off, which of them was first is not known: the token is refused, and the client is told to
// fetch another, since it may have done so after the cut-off already. Any other
// revocation does not depend on iat.
func (a *asking) askRevocations(ctx context.Context, p *middleware.Principal) error {
	first, last := p.IssuedAt.Add(-a.leeway-1), p.IssuedAt.Add(a.leeway+dateUnit-1)
	if p.IssuedAt.IsZero() { // without iat, it is before every cut-off
		first, last = p.IssuedAt, p.IssuedAt
	}
	revoked, err := a.revokedIf(ctx, p, first)
	if err != nil || !revoked {
		return err
	}
	revoked, err = a.revokedIf(ctx, p, last)
	switch {
	case err != nil:
		return err
	case revoked:
		return errRevoked
	}
	return errAround
}

// revokedIf reports whether the token would be revoked if it had been issued at that time.
func (a *asking) revokedIf(ctx context.Context, p *middleware.Principal, issued time.Time) (revoked bool, err error) {
	if a.revocationCalls.Direct() {
		q := *p
		q.IssuedAt = issued
		revoked, err = a.revocations.Revoked(ctx, q)
	} else {
		revoked, err = bounded.Call(ctx, a.revocationCalls, "revoked", func() (bool, error) {
			q := *p
			q.IssuedAt = issued
			return a.revocations.Revoked(ctx, q)
		})
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", errRevocations, err)
	}
	return revoked, err
}

func (a *asking) askSessions(ctx context.Context, p *middleware.Principal) error {
	var subject string
	var err error
	if a.sessionCalls.Direct() {
		subject, err = a.sessions.SessionAlive(ctx, p.SessionHandle)
	} else {
		subject, err = bounded.Call(ctx, a.sessionCalls, "alive", func() (string, error) {
			return a.sessions.SessionAlive(ctx, p.SessionHandle)
		})
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errSessions, err)
	case subject != p.Subject:
		return errSubject
	}
	return nil
}

// Alive reports whether the token behind p, or behind a ticket that was issued for it, is
// still good: not expired, not revoked, its session alive, and its key still published by the
// issuer; without that key it has expired, because a new token may be good. Its errors are those of
// [Authenticator.Authenticate]. It returns nil for a principal that is not of a token of
// this issuer.
func (a *Authenticator) Alive(ctx context.Context, p middleware.Principal) error {
	switch {
	case p.TokenHandle == "":
		return nil
	case a.zero():
		return refuseZero()
	case !a.rules.issuer.owns(p.Issuer):
		return nil
	case !p.Expires.IsZero() && !time.Now().Before(p.Expires):
		return a.rules.refuse(errExpired)
	}
	return a.recheck(ctx, p)
}

// recheck is apart from Alive, so that p is not allocated for principals of other kinds.
func (a *Authenticator) recheck(ctx context.Context, p middleware.Principal) error {
	var err error
	if p.SigningKey != "" {
		err = a.keys.holds(ctx, p.SigningKey)
	}
	if err == nil {
		err = a.asking.ask(ctx, &p)
	}
	if err != nil {
		return a.rules.refuse(err)
	}
	return nil
}

// Follow calls fn with every later revocation of Config.Revocations and Config.Sessions,
// until stop is called. A revocation of a subject that comes from Sessions is also
// reported with this issuer, so that the subject's tokens are asked about: those with the
// sid of a session that it ended are over. It does not reach a token without a sid; see
// Config.Revocations.
func (a *Authenticator) Follow(fn func(middleware.Revocation)) (stop func()) {
	if a.zero() {
		return func() {}
	}
	return a.asking.follow(&a.rules.issuer, fn)
}

func (a *asking) follow(issuer *issuerRule, fn func(middleware.Revocation)) (stop func()) {
	var follows []func(func(middleware.Revocation)) func()
	if a.revocations != nil {
		follows = append(follows, a.revocations.Follow)
	}
	if a.sessions != nil {
		follows = append(follows, func(fn func(middleware.Revocation)) func() { return a.followSessions(issuer, fn) })
	}
	return bounded.FollowAll(fn, follows...)
}

// followSessions reports each revocation of a subject under the issuer, too.
func (a *asking) followSessions(issuer *issuerRule, fn func(middleware.Revocation)) (stop func()) {
	return a.sessions.Follow(func(v middleware.Revocation) {
		fn(v)
		if v.Subject != "" && v.Issuer != "" && v.Issuer != issuer.name {
			v.Issuer, v.SessionHandle, v.TokenHandle = issuer.subjectIssuer(), "", ""
			fn(v)
		}
	})
}

// Asks returns Config.Sessions, if there are any: see [middleware.Asker].
func (a *Authenticator) Asks() []middleware.Revocable {
	if a.zero() || a.asking.sessions == nil {
		return nil
	}
	return []middleware.Revocable{a.asking.sessions}
}
