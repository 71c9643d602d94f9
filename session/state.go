package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/securews/securews/middleware"
)

var (
	// ErrHandshake is why nothing can be changed in a WebSocket handshake: the
	// response that would carry the cookie is the 101, and what comes later comes
	// from a socket. [Manager.Update] is for those.
	ErrHandshake = errors.New("session: a handshake only loads")

	// ErrBegun is why nothing can be changed once the response has begun: the cookie
	// travels in its header.
	ErrBegun = errors.New("session: the response has begun")
)

// state is the session of one request.
type state struct {
	values Values

	mu      sync.Mutex
	handle  string  // "": no session in the store
	rec     *record // nil together with it
	refusal error   // what Authenticate answers while rec is nil
	frozen  error   // ErrHandshake, ErrBegun
	busy    bool    // a Login or Logout is under way: it alone sets handle and rec
	token   string  // to be sent
	left    bool    // a Logout: the browser is to forget
}

type stateKey struct{ m *Manager }

func (m *Manager) stateFrom(ctx context.Context) *state {
	st, _ := ctx.Value(stateKey{m}).(*state)
	return st
}

// load reads the request's session. Its error is a refusal that holds for every
// route: the store cannot be asked, or the Dev profile is used for what it is not.
func (m *Manager) load(r *http.Request) (*state, error) {
	st := &state{refusal: middleware.ErrNoCredential}
	if m.dev {
		if err := checkDev(r); err != nil {
			return nil, err
		}
	}
	value, n := m.cookie.read(r.Header)
	if n > 1 {
		// Which one the browser was given by us is not ours to guess: a sibling
		// subdomain may have tossed the other (RFC 6265bis §8.6).
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
	rec, _, err := m.read(ctx, handle)
	switch {
	case err == nil:
		st.handle, st.rec, st.values.stored = handle, rec, rec.values
	case errors.Is(err, errRevoked):
		st.refusal = unauthorized(middleware.ReasonCredentialRevoked, err)
	case !errors.Is(err, errGone):
		return nil, unavailable(err)
	}
	return st, nil
}

var (
	errGone    = errors.New("session: no live session")
	errRevoked = errors.New("session: revoked")
)

// read returns a live session and its bytes in the store; errGone, errRevoked, or
// the reason why nobody knows. It is the one place where a record becomes a session.
func (m *Manager) read(ctx context.Context, handle string) (*record, []byte, error) {
	b, err := m.store.find(ctx, handle)
	if err != nil {
		return nil, nil, err
	}
	if b == nil {
		return nil, nil, m.goneOrRevoked(ctx, handle)
	}
	rec, err := decode(b)
	if err == nil && rec.issuer != m.issuer {
		err = errors.New("session: record: of another issuer")
	}
	if err != nil {
		m.log().WarnContext(ctx, "session: a record is not usable", "error", err)
		return nil, nil, errGone
	}
	if !m.live(rec, time.Now()) {
		return nil, nil, errGone
	}
	if err := m.checkRevoked(ctx, handle, rec); err != nil {
		return nil, nil, err
	}
	return rec, b, nil
}

func (m *Manager) checkRevoked(ctx context.Context, handle string, rec *record) error {
	revoked, err := call(ctx, m.asking, "revocations", func() (bool, error) {
		return m.revocations.Revoked(ctx, m.principal(handle, rec))
	})
	if err == nil && revoked {
		err = errRevoked
	}
	return err
}

func (m *Manager) revoke(ctx context.Context, v middleware.Revocation) error {
	_, err := call(ctx, m.asking, "revocations", func() (struct{}, error) {
		return struct{}{}, m.revocations.Revoke(ctx, v)
	})
	return err
}

// goneOrRevoked tells a browser that was signed out from one whose session ran out.
func (m *Manager) goneOrRevoked(ctx context.Context, handle string) error {
	err := m.checkRevoked(ctx, handle, &record{issuer: m.issuer})
	if err == nil {
		err = errGone
	}
	return err
}

// Authenticate returns the principal of the request's session. It uses what Handler
// further out has loaded and loads by itself where there is none; expiry and
// revocation are asked in either case.
//
// A request without the cookie, or with one that names no live session, carries no
// credential ([middleware.ErrNoCredential]): browsers go on sending what ran out, and
// a route that admits others too must not lock them out. So does a session that
// nobody has signed in to. A session that was ended by Logout, LogoutEverywhere or a
// renewal is refused with 401 `credential_revoked`, two cookies of the name with 400
// `credential_malformed`, and 503 `unavailable` is the answer while the store or the
// revocations cannot be asked.
func (m *Manager) Authenticate(r *http.Request) (middleware.Principal, error) {
	if m == nil || m.store.raw == nil {
		return middleware.Principal{}, unauthorized(middleware.ReasonNoCredential, errZero)
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
	}
	ctx, cancel := m.bounded(r.Context())
	defer cancel()
	err := m.checkRevoked(ctx, handle, rec)
	switch {
	case errors.Is(err, errRevoked):
		return middleware.Principal{}, unauthorized(middleware.ReasonCredentialRevoked, err)
	case err != nil:
		return middleware.Principal{}, unavailable(err)
	}
	return m.principal(handle, rec), nil
}

// Values returns the application's values of the request's session, for a [Key];
// nil where Handler is not in front.
func (m *Manager) Values(ctx context.Context) *Values {
	if st := m.stateFrom(ctx); st != nil {
		return &st.values
	}
	return nil
}
