package session

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

// Manager keeps sessions. It is safe for concurrent use. The zero value refuses
// every request.
type Manager struct {
	marked

	store             store
	ends              *ends                  // in store
	revocations       middleware.Revocations // Config.Revocations; may be nil
	asking            bounded.Caller         // of revocations
	timeout           time.Duration
	idle              time.Duration
	absolute          time.Duration
	extendEvery       time.Duration
	connectionsExtend bool
	cookie            cookie
	local             bool
	issuer            string
	logger            *slog.Logger
}

// marked says that a Manager bounds its calls to Store and Revocations.
type marked = bounded.Self

var _, _, _ = (&Manager{}).marked, (&ends{}).marked, (&managed{}).marked // read by bounded.BoundsItself

var (
	_ middleware.Revocable  = (*Manager)(nil)
	_ middleware.Challenger = (*Manager)(nil)
)

// New returns a Manager, or all that is wrong with cfg. It starts no goroutine.
func New(cfg Config) (*Manager, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := newStore(cfg.Store)
	m := &Manager{
		store:             s,
		ends:              newEnds(s, cfg.Issuer, cfg.StoreTimeout),
		revocations:       cfg.Revocations,
		asking:            bounded.NewCaller(cfg.Revocations),
		timeout:           cfg.StoreTimeout,
		idle:              cfg.Idle,
		absolute:          cfg.Absolute,
		extendEvery:       min(time.Minute, cfg.Idle/10),
		connectionsExtend: cfg.ConnectionsExtendIdle,
		cookie:            newCookie(cfg),
		local:             cfg.DangerouslyAllowLocalHTTP,
		issuer:            cfg.Issuer,
		logger:            cfg.Log,
	}
	if m.local {
		m.log().Warn("session: DangerouslyAllowLocalHTTP is set: cookies without Secure, for http://localhost only")
	}
	return m, nil
}

// Revocations returns Config.Revocations, or if that is nil those that the Manager keeps in its
// store: see [NewRevocations]. Others of the program may use them, for instance
// bearer.Config.Revocations and [middleware.WithRevocations]. Revoke of a subject without an
// Issuer, or with this Manager's, is a [Manager.LogoutEverywhere]; of a SessionHandle it ends
// that session. Revoked of a principal of this Manager's Issuer with a SessionHandle says
// whether that session has ended, in any way.
func (m *Manager) Revocations() middleware.Revocations {
	switch {
	case m.zero():
		return nil
	case m.revocations != nil:
		return m.revocations
	}
	return &managed{ends: m.ends, m: m}
}

// managed are the ends of a Manager, which knows whether a session is alive.
type managed struct {
	marked
	*ends
	m *Manager
}

// Revoked implements middleware.Revocations.
func (x *managed) Revoked(ctx context.Context, p middleware.Principal) (bool, error) {
	if p.SessionHandle != "" && p.Issuer == x.m.issuer {
		ctx, cancel := x.m.bounded(ctx)
		defer cancel()
		switch _, err := x.m.read(ctx, p.SessionHandle); {
		case errors.Is(err, errGone), errors.Is(err, errRevoked):
			return true, nil
		case err != nil:
			return false, err
		}
	}
	return x.ends.Revoked(ctx, p)
}

// Ambient is true: browsers send cookies automatically.
func (m *Manager) Ambient() bool { return true }

// Challenge names the scheme of a 401. None is registered for cookies; the word follows
// draft-broyer-http-cookie-auth.
func (m *Manager) Challenge() string { return `Cookie realm="` + m.issuer + `"` }

func (m *Manager) zero() bool { return m == nil || m.store.raw == nil }

func (m *Manager) log() *slog.Logger {
	if m.logger == nil {
		return slog.Default()
	}
	return m.logger
}

// bounded returns the context of one load; it ends with the request.
func (m *Manager) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if m.store.calls.Direct() && (m.revocations == nil || m.asking.Direct()) {
		return ctx, func() {} // a timer would be a third of the load
	}
	return context.WithTimeout(ctx, m.timeout)
}

// committing returns the context of one change. It is not the request's, because a client
// that disconnects must not leave a logout half done.
func (m *Manager) committing() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), m.timeout)
}

var errZero = errors.New("session: the zero Manager refuses every request")
