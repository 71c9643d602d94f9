package session

import (
	"context"
	"errors"
	"net/http"
	"time"

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
// without a login. A session that was signed out is refused with 401
// `credential_revoked`; a cookie that Login or LogoutOthers has replaced is answered in either of
// the two ways. Two cookies of the name are 400 `credential_malformed`. If the
// store or the revocations do not answer, the refusal is 503 `unavailable`; if they
// panic, 500 `internal`.
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
		return m.admit(r.Context(), handle, rec)
	case !m.live(rec, time.Now()):
		return middleware.Principal{}, errNoLive
	case !st.own().IsZero():
		return m.admit(r.Context(), handle, rec)
	}
	ctx, cancel := m.bounded(r.Context())
	defer cancel()
	now, err := m.read(ctx, handle)
	switch {
	case errors.Is(err, errGone):
		return middleware.Principal{}, errNoLive
	case err != nil:
		return middleware.Principal{}, refused(err)
	}
	return m.admit(r.Context(), handle, now.rec)
}

// admit returns the principal, and tells an Authenticator around this one when to ask again.
func (m *Manager) admit(ctx context.Context, handle string, rec *record) (middleware.Principal, error) {
	p := m.principal(handle, rec)
	middleware.RecheckBy(ctx, p.RecheckBy())
	return p, nil
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
