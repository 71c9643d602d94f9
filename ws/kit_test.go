package ws_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

func origins(t testing.TB, allow ...string) *middleware.OriginPolicy {
	t.Helper()
	p, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: allow})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func auth(t testing.TB, list ...middleware.Authenticator) *middleware.Auth {
	t.Helper()
	a, err := middleware.NewAuth(list...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// registry is for clients that share an address, unless cfg says how many of them may.
func registry(t testing.TB, cfg live.Config) *live.Registry {
	t.Helper()
	if cfg.Limits.PerAddress == 0 {
		cfg.Limits.PerAddress = cfg.Limits.Connections
	}
	if cfg.Log == nil {
		cfg.Log = new(logs).logger()
	}
	g, err := live.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// user authenticates by a header, as the principal that its field returns.
type user struct {
	principal func(name string) (middleware.Principal, error)
}

func (user) Ambient() bool { return false }

func (u user) Authenticate(r *http.Request) (middleware.Principal, error) {
	name := r.Header.Get("X-User")
	if name == "" {
		return middleware.Principal{}, middleware.ErrNoCredential
	}
	if u.principal != nil {
		return u.principal(name)
	}
	return middleware.Principal{
		Issuer: "test", Subject: name, SessionHandle: "s-" + name, TokenHandle: "t-" + name, IssuedAt: time.Now(), Method: "test",
	}, nil
}

// revocable is a user whose credentials are alive as its field says, once it is asked in
// earnest: the first handshake of a registry asks, too.
type revocable struct {
	user
	earnest atomic.Bool
	alive   func(ctx context.Context, p middleware.Principal) error
}

func (u *revocable) Alive(ctx context.Context, p middleware.Principal) error {
	if !u.earnest.Load() {
		return nil
	}
	return u.alive(ctx, p)
}

func (*revocable) Follow(func(middleware.Revocation)) (stop func()) { return func() {} }

// revokedBy is a user whose credentials the list revokes.
func revokedBy(t testing.TB, list middleware.Revocations) *middleware.Auth {
	t.Helper()
	return auth(t, middleware.WithRevocations(user{}, list))
}

func revoke(t testing.TB, list middleware.Revocations, v middleware.Revocation) {
	t.Helper()
	if err := list.Revoke(t.Context(), v); err != nil {
		t.Fatal(err)
	}
}

// logs collects log lines.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func echo(_ context.Context, c *ws.Conn) error {
	for {
		typ, p, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.Write(typ, p); err != nil {
			return err
		}
	}
}

// pushOnly is the Serve of a connection that sends nothing by itself.
func pushOnly(_ context.Context, c *ws.Conn) error { return c.PushOnly() }

// handler fills in the fields that a test leaves out.
func handler(t testing.TB, cfg ws.Config) *ws.Handler {
	t.Helper()
	if cfg.Origins == nil {
		cfg.Origins = origins(t, wstest.URL)
	}
	if cfg.Auth == nil {
		cfg.Auth = auth(t, middleware.Anonymous())
	}
	if cfg.Live == nil {
		cfg.Live = registry(t, live.Config{})
	}
	if cfg.Serve == nil {
		cfg.Serve = echo
	}
	if cfg.Log == nil {
		cfg.Log = new(logs).logger()
	}
	h, err := ws.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// node is a handler, its registry and its server in memory.
type node struct {
	*wstest.Server
	t    *testing.T
	live *live.Registry
	logs *logs
}

func start(t *testing.T, cfg ws.Config) *node {
	t.Helper()
	return startLive(t, live.Config{}, cfg)
}

// startLive is start with a registry of its own, unless cfg has one. Both log to node.logs.
func startLive(t *testing.T, of live.Config, cfg ws.Config) *node {
	t.Helper()
	n := &node{t: t, logs: &logs{}}
	if cfg.Log == nil {
		cfg.Log = n.logs.logger()
	}
	if cfg.Live == nil {
		of.Log = cfg.Log
		cfg.Live = registry(t, of)
	}
	if cfg.Auth == nil {
		cfg.Auth = auth(t, user{})
	}
	n.live, n.Server = cfg.Live, wstest.NewServer(t, handler(t, cfg))
	return n
}

// shutdown wants everything to have ended before ctx does.
func shutdown(ctx context.Context, t testing.TB, g *live.Registry) {
	t.Helper()
	if err := g.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func (n *node) shutdown() {
	n.t.Helper()
	shutdown(n.t.Context(), n.t, n.live)
}

// as are the options of a page's handshake that names a user.
func as(name string) *websocket.DialOptions {
	return &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {wstest.URL}, "X-User": {name}}}
}

func (n *node) try(name string) (*websocket.Conn, *http.Response, error) {
	return n.Dial(n.t.Context(), "/", as(name))
}

func (n *node) connect(name string) *websocket.Conn {
	n.t.Helper()
	c, _, err := n.try(name)
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

// ending reads until the connection ends, answering pings, and returns the close frame and
// how long it took.
func ending(c *websocket.Conn) (websocket.CloseError, time.Duration) {
	start := time.Now()
	for {
		_, _, err := c.Read(context.Background())
		if err != nil {
			var ce websocket.CloseError
			if !errors.As(err, &ce) {
				ce = websocket.CloseError{Code: 1006, Reason: err.Error()}
			}
			return ce, time.Since(start)
		}
	}
}

type ended struct {
	websocket.CloseError
	after time.Duration
}

// watch connects and reads, so that pings are answered, until the end.
func (n *node) watch(name string) chan ended {
	n.t.Helper()
	c := n.connect(name)
	end := make(chan ended, 1)
	go func() {
		ce, after := ending(c)
		end <- ended{ce, after}
	}()
	return end
}

func wantEnding(t *testing.T, c *websocket.Conn, code websocket.StatusCode, reason string, earliest, latest time.Duration) {
	t.Helper()
	got, after := ending(c)
	if got.Code != code || got.Reason != reason || after < earliest || after > latest {
		t.Errorf("closed with %d %q after %v, want %d %q between %v and %v", got.Code, got.Reason, after, code, reason, earliest, latest)
	}
}
