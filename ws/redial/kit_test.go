package redial_test

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/wstest"
)

const wss = "wss://app.example/ws"

var quiet = slog.New(slog.DiscardHandler)

// server is the library's own, in memory.
func server(t *testing.T, cfg ws.Config) (*ws.Handler, *wstest.Server) {
	t.Helper()
	h := handler(t, cfg)
	return h, wstest.NewServer(t, h)
}

func handler(t *testing.T, cfg ws.Config) *ws.Handler {
	t.Helper()
	var err error
	if cfg.Origins == nil {
		cfg.Origins, err = middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{wstest.URL}, AllowMissing: true})
		must(t, err)
	}
	if cfg.Auth == nil {
		cfg.Auth, err = middleware.NewAuth(middleware.Anonymous())
		must(t, err)
	}
	if cfg.Serve == nil {
		cfg.Serve = func(_ context.Context, c *ws.Conn) error {
			for {
				typ, p, err := c.Read()
				if err != nil {
					return err
				}
				if err := c.Write(typ, p); err != nil {
					return err
				}
			}
		}
	}
	if cfg.Live == nil {
		cfg.Live, err = live.New(live.Config{})
		must(t, err)
	}
	if cfg.Log == nil {
		cfg.Log = quiet
	}
	h, err := ws.New(cfg)
	must(t, err)
	return h
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// closing answers every handshake with a connection that ends at once with the code.
func closing(t *testing.T, code websocket.StatusCode, reason string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		_ = c.Close(code, reason)
	})
}

// lasting serves a connection for the given time, and then ends it.
func lasting(d time.Duration, cause *ws.CloseError) func(context.Context, *ws.Conn) error {
	return func(_ context.Context, c *ws.Conn) error {
		t := time.AfterFunc(d, func() { _ = c.Close(cause.Code, cause.Reason) })
		defer t.Stop()
		return c.PushOnly()
	}
}

// answering refuses every handshake.
func answering(status int, header ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
	})
}

// refusingWith answers every handshake with a refusal as package middleware writes it.
func refusingWith(status int, reason string, header ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"type":"about:blank","status":%d,"reason":%q}`, status, reason)
	})
}

// run is a client and a record of its events.
type run struct {
	*redial.Client
	t      *testing.T
	cancel context.CancelFunc
	done   chan error

	mu     sync.Mutex
	states []state
	lost   []redial.Undelivered
}

type state struct {
	redial.State
	at time.Time
}

// start runs a client against s until stop.
func start(t *testing.T, s *wstest.Server, cfg redial.Config, serve func(context.Context, *redial.Conn) error) *run {
	t.Helper()
	r := prepare(t, s, cfg)
	r.run(serve)
	return r
}

func prepare(t *testing.T, s *wstest.Server, cfg redial.Config) *run {
	t.Helper()
	r := &run{t: t, done: make(chan error, 1)}
	if cfg.URL == "" {
		cfg.URL = wss
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = s.Client()
	}
	cfg.OnState = func(st redial.State) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.states = append(r.states, state{st, time.Now()})
	}
	cfg.OnUndelivered = func(u redial.Undelivered) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.lost = append(r.lost, u)
	}
	c, err := redial.New(cfg)
	must(t, err)
	r.Client = c
	return r
}

func (r *run) run(serve func(context.Context, *redial.Conn) error) {
	if serve == nil {
		serve = listen
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() { r.done <- r.Run(ctx, serve) }()
}

// listen reads until the connection ends.
func listen(_ context.Context, c *redial.Conn) error {
	for {
		if _, _, err := c.Read(); err != nil {
			return err
		}
	}
}

// stop ends the run from outside.
func (r *run) stop() {
	r.t.Helper()
	r.cancel()
	if err := <-r.done; !errors.Is(err, context.Canceled) {
		r.t.Errorf("Run: %v, want the context's end", err)
	}
}

func (r *run) phases(p redial.Phase) []state {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.states), func(s state) bool { return s.Phase != p })
}

func (r *run) undelivered() []redial.Undelivered {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lost)
}

// refusing is a transport that refuses every request.
type refusing struct{ dials int }

func (r *refusing) RoundTrip(*http.Request) (*http.Response, error) {
	r.dials++
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
}

// counted serves h in memory and counts its requests.
func counted(t *testing.T, h http.Handler) (*wstest.Server, *atomic.Int64) {
	n := new(atomic.Int64)
	return wstest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		h.ServeHTTP(w, r)
	})), n
}

// upgrade answers 101 and returns the connection, for servers that misbehave.
func upgrade(t *testing.T, w http.ResponseWriter, r *http.Request) net.Conn {
	t.Helper()
	conn, _, err := http.NewResponseController(w).Hijack()
	must(t, err)
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 §1.3
	_, err = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "+
		"Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// codeOf returns the close code of an error, or 0.
func codeOf(err error) websocket.StatusCode {
	var closed *ws.CloseError
	if errors.As(err, &closed) {
		return closed.Code
	}
	return 0
}
