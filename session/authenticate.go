package session

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

// Authenticate returns the principal of the request's session. It uses the session that
// Handler in an outer layer has loaded, or loads it; expiry and revocation are asked in
// either case.
//
// A request without the cookie carries no credential ([middleware.ErrNoCredential]). The
// same holds for a cookie that names no live session, because browsers continue to send
// it and a route that admits others too must not lock them out, and for a session
// without a login. A session that was ended by Logout, LogoutEverywhere or a renewal is
// refused with 401 `credential_revoked`, two cookies of the name with 400
// `credential_malformed`. If the store or the revocations do not answer, the refusal is
// 503 `unavailable`; if they panic, 500 `internal`.
func (m *Manager) Authenticate(r *http.Request) (middleware.Principal, error) {
	if m.zero() {
		return middleware.Principal{}, middleware.Unauthorized(middleware.ReasonNoCredential, errZero)
	}
	st := m.stateFrom(r.Context())
	fresh := st == nil
	if fresh {
		var err error
		if st, err = m.load(r); err != nil {
			return middleware.Principal{}, err
		}
	}
	st.mu.Lock()
	handle, rec, refusal := st.handle, st.rec, st.refusal
	st.mu.Unlock()
	switch {
	case rec == nil:
		return middleware.Principal{}, refusal
	case rec.subject == "":
		return middleware.Principal{}, middleware.ErrNoCredential
	case fresh:
		return m.principal(handle, rec), nil
	case !m.live(rec, time.Now()):
		return middleware.Principal{}, middleware.ErrNoCredential
	case !st.own().IsZero():
		return m.principal(handle, rec), nil
	}
	ctx, cancel := m.bounded(r.Context())
	defer cancel()
	now, err := m.read(ctx, handle)
	switch {
	case errors.Is(err, errGone):
		return middleware.Principal{}, middleware.ErrNoCredential
	case err != nil:
		return middleware.Principal{}, refused(err)
	}
	return m.principal(handle, now.rec), nil
}

// loadedFor is how long the answer that a request was loaded with counts for it.
const loadedFor = time.Second

// Loaded is [contextkey.Loader]'s: when Handler asked about the request's session, or that
// of an outer Manager, if it did within the last second. A later Authenticate
// asks again.
func (st *state) Loaded() time.Time {
	loaded := st.own()
	if outer, ok := st.Context.Value(contextkey.Loaded{}).(contextkey.Loader); ok {
		if t := outer.Loaded(); loaded.IsZero() || !t.IsZero() && t.Before(loaded) {
			return t
		}
	}
	return loaded
}

func (st *state) own() time.Time {
	st.mu.Lock()
	defer st.mu.Unlock()
	if time.Since(st.loaded) >= loadedFor {
		return time.Time{}
	}
	return st.loaded
}

// Alive reports whether the principal's session is alive, with the roles and scopes that the
// principal has: a [middleware.Refusal] of 401 `credential_expired` if it ran out, of 401
// `credential_revoked` if it was ended, of 401 `credential_outdated` if the roles are others
// since [Manager.SetRoles], and of 503 if the store or the revocations do not answer. It returns
// nil for a principal that is not of a session of this Manager. An Authenticator that adds
// roles or scopes to those of a Manager has to leave them out in its own Alive.
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
		return refused(m.rewrite(ctx, handle, check))
	}
	now, err := m.read(ctx, handle)
	if err == nil {
		err = check(now.rec)
	}
	return refused(err)
}

// ours reports whether p was issued for a session of this Manager. A token that names a
// session is not: the authenticator of the token asks for it.
func (m *Manager) ours(p middleware.Principal) bool {
	return p.SessionHandle != "" && p.TokenHandle == "" && p.Issuer == m.issuer
}

// belongs refuses a record of another subject.
func belongs(rec *record, subject string) error {
	if rec.subject != subject {
		return errGone
	}
	return nil
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
	return bounded.FollowAll(fn, m.ends.Follow, m.revocations.Follow)
}
