package session

import (
	"errors"
	"net/http"
	"time"

	"github.com/securews/securews/internal/opening"
	"github.com/securews/securews/internal/savedheader"
	"github.com/securews/securews/middleware"
)

// Handler loads the request's session, and saves it before the first byte of the
// response's header if something changed or the idle time-out is due to be extended.
//
// A request whose session cannot be loaded is refused with 503; one without the
// cookie does not ask the store. If a change cannot be saved, the refusal replaces the
// response and the handler's output is discarded, so that the client is not told of a
// success. Nothing is saved for a handler that panics, or after the connection has been
// hijacked or the handler has returned.
//
// A WebSocket handshake only loads: next gets the original ResponseWriter, and changes
// fail with [ErrHandshake].
func (m *Manager) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.zero() {
			middleware.Refuse(w, r, middleware.Unauthorized(middleware.ReasonNoCredential, errZero))
			return
		}
		st, err := m.load(r)
		if err != nil {
			middleware.Refuse(w, r, err)
			return
		}
		st.Context, st.m = r.Context(), m
		inner := r.WithContext(st)
		vary(w.Header()) // also for a handshake: a cache may keep the answer of a route that ignores Upgrade
		if opening.IsHandshake(r) {
			st.freeze(ErrHandshake)
			next.ServeHTTP(w, inner)
			return
		}
		sw := &writer{ResponseWriter: w, m: m, st: st, r: inner, outer: savedheader.Fields(nil).Append(w.Header())}
		next.ServeHTTP(sw, inner)
		_ = sw.begin()
	})
}

var varyCookie = []string{"Cookie"} // shared by all responses: an append copies it

// vary adds Cookie to Vary.
func vary(h http.Header) {
	if others := h["Vary"]; len(others) > 0 {
		h["Vary"] = append(others, "Cookie")
		return
	}
	h["Vary"] = varyCookie
}

// save writes the changes; nil means that the response may begin.
func (m *Manager) save(st *state) error {
	changed := st.freeze(ErrBegun)
	st.mu.Lock()
	handle, rec, busy := st.handle, st.rec, st.busy
	st.mu.Unlock()
	switch {
	case busy:
		return errBusy
	case len(changed) > 0 && rec == nil:
		return m.create(st, changed)
	case len(changed) > 0:
		return m.saveChanges(handle, changed)
	case rec != nil && m.due(rec, time.Now()):
		m.extendQuietly(handle)
	}
	return nil
}

// create begins a session without a login.
func (m *Manager) create(st *state, changed map[string]change) error {
	rec := m.newRecord(Identity{}, time.Now())
	if rec.values = merge(nil, changed); len(rec.values) == 0 {
		return nil
	}
	ctx, cancel := m.committing()
	defer cancel()
	token, handle := newToken()
	if err := m.insert(ctx, handle, rec); err != nil {
		return unavailable(err)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.handle, st.rec, st.token = handle, rec, token
	return nil
}

func (m *Manager) saveChanges(handle string, changed map[string]change) error {
	ctx, cancel := m.committing()
	defer cancel()
	err := m.rewrite(ctx, handle, func(rec *record) error {
		rec.values = merge(rec.values, changed)
		return fits(rec.values)
	})
	return refused(err)
}

// extendQuietly may fail: the session then ends earlier than it could, and the handler's
// response does not depend on it.
func (m *Manager) extendQuietly(handle string) {
	ctx, cancel := m.committing()
	defer cancel()
	err := m.rewrite(ctx, handle, func(*record) error { return nil })
	if err != nil && !errors.Is(err, errGone) && !errors.Is(err, errRevoked) {
		m.log().Warn("session: the idle time-out is not extended", "error", err)
	}
}

// answer sets the cookie and Clear-Site-Data in the response's header.
func (m *Manager) answer(st *state, h http.Header) {
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.token != "":
		m.cookie.set(h, st.token, time.Until(m.endOf(st.rec)))
		m.cookie.clearPrevious(h)
	case st.cleared:
		m.cookie.clear(h)
	case st.moved != "" && st.rec != nil:
		m.cookie.set(h, st.moved, time.Until(m.endOf(st.rec)))
		m.cookie.clearPrevious(h)
	}
	if st.cleared {
		m.cookie.forget(h, st.token != "")
	}
}
