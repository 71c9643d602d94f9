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
	boundsItself

	store             store
	ends              *ends // in store
	keys              subjectKeys
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

// boundsItself says that a Manager bounds its calls to Store and Revocations.
type boundsItself = bounded.Self

var _, _, _ = (&Manager{}).boundsItself, (&ends{}).boundsItself, (&managed{}).boundsItself // read by bounded.BoundsItself

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
		keys:              newSubjectKeys(cfg.Issuer),
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
