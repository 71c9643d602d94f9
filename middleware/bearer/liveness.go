package bearer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/internal/recheckby"
	"github.com/securews/securews/middleware"
)

// Sessions has the sessions that tokens are issued in. A *session.Manager is one.
// Implementations are safe for concurrent use.
type Sessions interface {
	middleware.Revocable

	// SessionAlive returns the subject of the live session with that
	// Principal.SessionHandle, or a [middleware.Refusal] of 401 if the session has ended.
	// Any other error means that the answer is not known.
	SessionAlive(ctx context.Context, handle string) (subject string, err error)
}

// livenessTimeout bounds the wait for Revocations and Sessions together, in one request.
const livenessTimeout = time.Second

// liveness is the one way to Config.Revocations and Config.Sessions; either may be nil.
type liveness struct {
	leeway       time.Duration
	revocations  calledRevocations
	sessions     Sessions
	sessionCalls bounded.Caller
}

func newLiveness(cfg Config) liveness {
	return liveness{
		leeway: cfg.Leeway, revocations: newCalledRevocations(cfg.Revocations),
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

// admit checks the principal of a request, and returns a copy that says when its session may end.
func (a *liveness) admit(ctx context.Context, p *middleware.Principal) (middleware.Principal, error) {
	if a.sessions == nil || p.SessionHandle == "" {
		return *p, a.check(ctx, p)
	}
	asking := recheckby.Collect(ctx)
	err := a.check(asking, p)
	middleware.RecheckBy(ctx, asking.Earliest())
	admitted := *p
	admitted.SetRecheckBy(contextkey.Key(), asking.Earliest())
	return admitted, err
}

// check returns nil if neither the token nor its session has ended.
func (a *liveness) check(ctx context.Context, p *middleware.Principal) error {
	revocations, sessions := a.revocations.given(), a.sessions != nil && p.SessionHandle != ""
	if revocations && !a.revocations.calls.Direct() || sessions && !a.sessionCalls.Direct() {
		limited, cancel := context.WithTimeout(ctx, livenessTimeout)
		defer cancel()
		ctx = limited
	}
	var err error
	if revocations {
		err = a.checkRevocations(ctx, p)
	}
	if sessions && leavesOpen(err) {
		err = firmer(err, a.checkSession(ctx, p))
	}
	return err
}

// dateUnit is the precision of iat in most tokens.
const dateUnit = time.Second

// checkRevocations asks Revocations twice about a revoked token. A revocation of its subject compares iat
// with a cut-off, and the two come from different clocks. If iat is within the leeway of the
// cut-off, which of them was first is not known: the token is refused, and the client is told to
// fetch another, since it may have done so after the cut-off already. Any other
// revocation does not depend on iat.
func (a *liveness) checkRevocations(ctx context.Context, p *middleware.Principal) error {
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
func (a *liveness) revokedIf(ctx context.Context, p *middleware.Principal, issued time.Time) (revoked bool, err error) {
	q := *p
	q.IssuedAt = issued
	revoked, err = a.revocations.revoked(ctx, q)
	if err != nil {
		err = fmt.Errorf("%w: %w", errRevocations, err)
	}
	return revoked, err
}

func (a *liveness) checkSession(ctx context.Context, p *middleware.Principal) error {
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

func (a *liveness) follow(issuer *issuerRule, fn func(middleware.Revocation)) (stop func()) {
	var follows []func(func(middleware.Revocation)) func()
	if a.revocations.given() {
		follows = append(follows, a.revocations.Follow)
	}
	if a.sessions != nil {
		follows = append(follows, func(fn func(middleware.Revocation)) func() { return a.followSessions(issuer, fn) })
	}
	return bounded.FollowAll(fn, follows...)
}

// followSessions reports each revocation of a subject under the issuer, too.
func (a *liveness) followSessions(issuer *issuerRule, fn func(middleware.Revocation)) (stop func()) {
	return a.sessions.Follow(func(v middleware.Revocation) {
		fn(v)
		if v.Subject != "" && v.Issuer != "" && v.Issuer != issuer.name {
			v.Issuer, v.SessionHandle, v.TokenHandle = issuer.subjectIssuer(), "", ""
			fn(v)
		}
	})
}

// asks is for [middleware.Asker].
func (a *liveness) asks() []middleware.Revocable {
	if a.sessions == nil {
		return nil
	}
	return []middleware.Revocable{a.sessions}
}
