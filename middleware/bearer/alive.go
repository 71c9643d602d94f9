package bearer

import (
	"context"
	"time"

	"github.com/securews/securews/middleware"
)

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

// Owns implements middleware.Owner: p is of a token of this issuer.
func (a *Authenticator) Owns(p middleware.Principal) bool {
	return !a.zero() && p.TokenHandle != "" && a.rules.issuer.owns(p.Issuer)
}

// recheck is apart from Alive, so that p is not allocated for principals of other kinds.
func (a *Authenticator) recheck(ctx context.Context, p middleware.Principal) error {
	var err error
	if p.SigningKey != "" {
		err = a.keys.holds(ctx, p.SigningKey)
	}
	if leavesOpen(err) {
		err = firmer(err, a.liveness.check(ctx, &p))
	}
	if err != nil {
		return a.rules.refuse(err)
	}
	return nil
}

// Follow calls fn with every later revocation of Config.Revocations and Config.Sessions,
// until stop is called. A revocation of a subject that comes from Sessions is also
// reported with this issuer, so that the subject's tokens are checked again: those with the
// sid of a session that it ended are over. It does not reach a token without a sid; see
// Config.Revocations.
func (a *Authenticator) Follow(fn func(middleware.Revocation)) (stop func()) {
	if a.zero() {
		return func() {}
	}
	return a.liveness.follow(&a.rules.issuer, fn)
}

// Asks returns Config.Sessions, if there are any: see [middleware.Asker].
func (a *Authenticator) Asks() []middleware.Revocable {
	if a.zero() {
		return nil
	}
	return a.liveness.asks()
}
