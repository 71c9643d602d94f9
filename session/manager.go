package session

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"time"

	"github.com/securews/securews/middleware"
)

// Manager keeps sessions. It is safe for concurrent use. The zero value refuses
// every request.
type Manager struct {
	store       store
	revocations middleware.Revocations
	asking      chan struct{} // as store.slots, for revocations
	timeout     time.Duration
	idle        time.Duration
	absolute    time.Duration
	extendEvery time.Duration
	cookie      cookie
	dev         bool
	issuer      string
	logger      *slog.Logger
}

var (
	_ middleware.Authenticator = (*Manager)(nil)
	_ middleware.Challenger    = (*Manager)(nil)
)

// New returns a Manager, or all that is wrong with cfg. It starts no goroutine.
func New(cfg Config) (*Manager, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Revocations == nil {
		cfg.Revocations = middleware.NewRevocations()
	}
	m := &Manager{
		store:       newStore(cfg.Store),
		revocations: cfg.Revocations,
		timeout:     cfg.StoreTimeout,
		idle:        cfg.Idle,
		absolute:    cfg.Absolute,
		extendEvery: min(time.Minute, cfg.Idle/10),
		cookie:      newCookie(cfg.Name, cfg.SameSiteLax, cfg.DangerouslyAllowLocalHTTP),
		dev:         cfg.DangerouslyAllowLocalHTTP,
		issuer:      cfg.Issuer,
		logger:      cfg.Log,
	}
	if reflect.TypeOf(cfg.Revocations) != reflect.TypeOf(middleware.NewRevocations()) {
		m.asking = make(chan struct{}, maxCalls)
	}
	if m.dev {
		m.log().Warn("session: the Dev profile is on: cookies without Secure, for http://localhost only")
	}
	return m, nil
}

// Revocations returns what ws.Config.Revocations wants, so that a logout closes the
// session's sockets at once (ASVS 7.4.1).
func (m *Manager) Revocations() middleware.Revocations { return m.revocations }

// Ambient is true: browsers send cookies unasked.
func (m *Manager) Ambient() bool { return true }

// Challenge names the scheme of a 401. There is no registered one for cookies; the
// word follows draft-broyer-http-cookie-auth.
func (m *Manager) Challenge() string { return `Cookie realm="` + m.issuer + `"` }

func (m *Manager) log() *slog.Logger {
	if m.logger == nil {
		return slog.Default()
	}
	return m.logger
}

// bounded is the context of one load; it ends with the request.
func (m *Manager) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if m.store.slots == nil && m.asking == nil {
		return ctx, func() {} // a timer would be a third of the load
	}
	return context.WithTimeout(ctx, m.timeout)
}

// committing is the context of one change. It is not the request's: a client that
// goes away must not leave a logout half done.
func (m *Manager) committing() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), m.timeout)
}

var errZero = errors.New("session: the zero Manager admits nobody")

// unavailable is the answer while nobody knows: fail closed (ASVS 16.5.3).
func unavailable(err error) error {
	return &middleware.Refusal{
		Status: http.StatusServiceUnavailable, Reason: middleware.ReasonUnavailable,
		Header: http.Header{"Retry-After": {"2"}}, Err: err,
	}
}

func unauthorized(reason middleware.Reason, err error) error {
	return &middleware.Refusal{Status: http.StatusUnauthorized, Reason: reason, Err: err}
}
