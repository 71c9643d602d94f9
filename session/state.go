package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

var (
	// ErrHandshake is the error of a change in a WebSocket handshake: the response that
	// would carry the cookie is the 101, and later changes come from a connection.
	// [Manager.Update] is for those.
	ErrHandshake = errors.New("session: a handshake only loads")

	// ErrBegun is the error of a change after the response has begun: the cookie
	// travels in its header.
	ErrBegun = errors.New("session: the response has begun: make the change before the handler writes")

	errBusy = errors.New("session: a Login or Logout of this request is still under way")
)

// state is the session of one request, and behind Handler its context, because one
// allocation costs less than two.
type state struct {
	context.Context
	m *Manager

	values Values
	header http.Header // of the request

	mu      sync.Mutex
	loaded  time.Time // when the store was asked; zero: the answer counts no more
	handle  string    // "": no session in the store
	rec     *record   // nil together with it
	refusal error     // the answer of Authenticate while rec is nil
	frozen  error     // ErrHandshake, ErrBegun
	busy    bool      // a Login or Logout is under way: it alone sets handle and rec
	token   string    // to be sent
	moved   string    // the secret of the request, if it came under the previous name
	cleared bool      // by Logout: the browser is told to clear its data
}

// outdated says that the answer of load counts no more: this request has ended sessions.
func (m *Manager) outdated(ctx context.Context) {
	if st := m.stateFrom(ctx); st != nil {
		st.mu.Lock()
		defer st.mu.Unlock()
		st.loaded = time.Time{}
	}
}

type stateKey struct{ m *Manager }

// Value implements context.Context.
func (st *state) Value(key any) any {
	if key == (stateKey{st.m}) || key == (contextkey.Loaded{}) {
		return st
	}
	return st.Context.Value(key)
}

func (m *Manager) stateFrom(ctx context.Context) *state {
	st, _ := ctx.Value(stateKey{m}).(*state)
	return st
}

// load reads the request's session. Its error is a refusal for every route: the store
// does not answer, or DangerouslyAllowLocalHTTP is set and the request is not local.
func (m *Manager) load(r *http.Request) (*state, error) {
	st := &state{header: r.Header, refusal: middleware.ErrNoCredential, loaded: time.Now()}
	if m.local {
		if err := checkLocal(r); err != nil {
			return nil, err
		}
	}
	value, n, previous := m.cookie.read(r.Header)
	if n > 1 {
		// Which of them this site has set is not known: a sibling subdomain may have
		// set the other (RFC 6265bis §8.6).
		st.refusal = &middleware.Refusal{
			Status: http.StatusBadRequest, Reason: middleware.ReasonCredentialMalformed,
			Err: fmt.Errorf("session: %d cookies of one name", n),
		}
		return st, nil
	}
	handle, ok := parseToken(value)
	if !ok {
		return st, nil
	}
	ctx, cancel := m.bounded(r.Context())
	defer cancel()
	now, err := m.read(ctx, handle)
	switch {
	case err == nil:
		st.handle, st.rec, st.values.stored = handle, now.rec, now.rec.values
		if previous {
			st.moved = value
		}
	case errors.Is(err, errGone):
		st.refusal = errNoLive
	case errors.Is(err, errRevoked):
		st.refusal = middleware.Unauthorized(middleware.ReasonCredentialRevoked, err)
	default:
		return nil, unavailable(err)
	}
	return st, nil
}

// Values returns the application's values of the request's session, for a [Key]; nil if
// Handler is not in front.
func (m *Manager) Values(ctx context.Context) *Values {
	if st := m.stateFrom(ctx); st != nil {
		return &st.values
	}
	return nil
}

// freeze forbids further changes and returns those made before.
func (st *state) freeze(why error) map[string]change {
	st.mu.Lock()
	st.frozen = why
	st.mu.Unlock()
	st.values.freeze(why)
	return st.values.pending()
}

// acquire returns the request's state for one Login or Logout at a time.
func (m *Manager) acquire(ctx context.Context, what string) (*state, error) {
	st := m.stateFrom(ctx)
	if st == nil {
		return nil, fmt.Errorf("session: %s: %w", what, errNoSession)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.frozen != nil:
		return nil, fmt.Errorf("session: %s: %w", what, st.frozen)
	case st.busy:
		return nil, fmt.Errorf("session: %s: %w", what, errBusy)
	}
	st.busy = true
	st.values.freeze(errBusy) // a value put meanwhile would be lost
	return st, nil
}

func (st *state) release() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.busy = false
	st.values.freeze(st.frozen)
}

// become makes the state that of another session, or of none. It fails if the response
// has begun meanwhile, as http.TimeoutHandler's does: the cookie is too late.
func (st *state) become(handle string, rec *record, token string) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.frozen != nil {
		return st.frozen
	}
	st.handle, st.rec, st.token = handle, rec, token
	st.refusal = middleware.ErrNoCredential
	if rec == nil {
		rec, st.cleared = &record{}, true
	}
	st.values.reset(rec.values)
	return nil
}
