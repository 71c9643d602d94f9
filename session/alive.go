package session

import (
	"context"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

// Alive reports whether the principal's session is alive, with the roles and scopes that the
// principal has: a [middleware.Refusal] of 401 `credential_expired` if it ran out, of 401
// `credential_revoked` if it was ended, of either of the two if its browser has another by Login or
// LogoutOthers, of 401 `credential_outdated` if the roles are others since [Manager.SetRoles], and
// of 503 if the store or the revocations do not answer. It returns nil for a principal that is not
// of a session of this Manager. An Authenticator that adds roles or scopes to those of a Manager
// has to leave them out in its own Alive.
//
// Alive writes nothing, except that it extends the idle time-out if
// Config.ConnectionsExtendIdle is set.
func (m *Manager) Alive(ctx context.Context, p middleware.Principal) error {
	switch {
	case m.zero():
		return middleware.Unauthorized(middleware.ReasonNoCredential, errZero)
	case !m.ours(p):
		return nil
	}
	return m.askOf(ctx, p)
}

// askOf is apart from Alive, so that p is not allocated for principals of other kinds.
func (m *Manager) askOf(ctx context.Context, p middleware.Principal) error {
	return m.ask(ctx, p.SessionHandle, func(rec *record) error { return rec.backs(&p) })
}

// SessionAlive returns the subject of the live session with that handle, or the refusals
// of [Manager.Alive]. It is for credentials that name a session, such as a token with a
// `sid` claim, and extends the idle time-out as Alive does. A session without a login is
// refused as one that ran out.
func (m *Manager) SessionAlive(ctx context.Context, handle string) (subject string, err error) {
	if m.zero() {
		return "", middleware.Unauthorized(middleware.ReasonNoCredential, errZero)
	}
	if !isHandle(handle) {
		return "", refused(errGone)
	}
	err = m.ask(ctx, handle, func(rec *record) error {
		if subject = rec.subject; subject == "" {
			return errGone
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return subject, nil
}

// ask reads the session, and writes it again if connections extend the idle time-out.
func (m *Manager) ask(ctx context.Context, handle string, check func(*record) error) error {
	ctx, cancel := m.bounded(ctx)
	defer cancel()
	if m.connectionsExtend {
		middleware.RecheckBy(ctx, m.halfway(time.Now()))
		return refused(m.rewrite(ctx, handle, check))
	}
	now, err := m.read(ctx, handle)
	if err == nil {
		middleware.RecheckBy(ctx, m.expiry(now.rec))
		err = check(now.rec)
	}
	return refused(err)
}

// Owns implements middleware.Owner: p is of a session of this Manager, or of another with the same
// Config.Issuer.
func (m *Manager) Owns(p middleware.Principal) bool { return !m.zero() && m.ours(p) }

// ours reports whether p was issued for a session of this Manager. A token that names a
// session is not: the authenticator of the token asks for it.
func (m *Manager) ours(p middleware.Principal) bool {
	return p.SessionHandle != "" && p.TokenHandle == "" && p.Issuer == m.issuer
}

// Follow calls fn with every end of a session that this Manager or Config.Revocations
// learns of, until stop is called, and with every subject whose roles [Manager.SetRoles] has
// changed. Alive says which of a subject's principals are meant.
func (m *Manager) Follow(fn func(middleware.Revocation)) (stop func()) {
	switch {
	case m.zero():
		return func() {}
	case m.revocations == nil:
		return m.ends.Follow(fn)
	}
	return bounded.FollowAll(fn, m.ends.Follow, m.followRevocations)
}
