package interop

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
)

var ann = middleware.Principal{Issuer: "https://id.example", Subject: "ann", Method: "session"}

// world is a registry, and an Auth whose credential is the header Session: the name of a
// session, which is ann's but for "session of bob".
type world struct {
	*live.Registry
	t           *testing.T
	auth        *middleware.Auth
	revocations middleware.Revocations

	mu   sync.Mutex
	open int // members, after the last event
}

func newWorld(t *testing.T, cfg live.Config) *world {
	t.Helper()
	w := &world{t: t, revocations: middleware.NewRevocations()}
	w.auth = auth(t, middleware.WithRevocations(admit(func(r *http.Request) (middleware.Principal, error) {
		p := ann
		name := r.Header.Get("Session")
		if name == "" {
			return p, middleware.ErrNoCredential
		}
		p.SessionHandle, p.TokenHandle = name, "token of "+name
		if name == "session of bob" {
			p.Subject = "bob"
		}
		return p, nil
	}), w.revocations))
	cfg.Log = quiet
	cfg.Events = func(e live.Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.open = e.Open
	}
	g, err := live.New(cfg)
	must(t, err)
	w.Registry = g
	return w
}

// front is the Auth in front of the layer of the registry.
func (w *world) front(next http.Handler) http.Handler {
	bound := w.auth.Handler(w.Handler(next))
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("X-Outer", "of a layer in front")
		bound.ServeHTTP(rw, r)
	})
}

func (w *world) signOut(session string) {
	if err := w.revocations.Revoke(context.Background(), middleware.Revocation{SessionHandle: session}); err != nil {
		w.t.Error(err)
	}
}

// endAll ends all members of ann.
func (w *world) endAll(cause *live.Cause) {
	for _, open := range w.List(ann.Issuer, ann.Subject) {
		if !w.End(ann.Issuer, ann.Subject, open.ID, cause) {
			w.t.Errorf("%s has left", open.ID)
		}
	}
}

// settled waits until all members have left, and wants that nothing is left of them.
func (w *world) settled() {
	w.t.Helper()
	left := func() (listed, counted int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.List(ann.Issuer, ann.Subject)), w.open
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if listed, counted := left(); listed == 0 && counted == 0 {
			return
		}
	}
	listed, counted := left()
	w.t.Errorf("%d members are listed, and %d counted", listed, counted)
}

// serve runs the handler on a server of the given kind.
func serve(t *testing.T, h http.Handler, kind string) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	switch kind {
	case "plain":
		s.Start()
	case "HTTP/2":
		s.EnableHTTP2 = true
		s.StartTLS()
	default:
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return s
}

// connect opens a socket with the client of gorilla.
func (w *world) connect(s *httptest.Server, session string, compress bool) (*websocket.Conn, *http.Response) {
	w.t.Helper()
	d := websocket.Dialer{EnableCompression: compress, WriteBufferSize: 1 << 17}
	if s.TLS != nil {
		d.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig
	}
	c, resp, err := d.DialContext(w.t.Context(), "ws"+s.URL[len("http"):], http.Header{"Session": {session}, "Origin": {s.URL}})
	if err != nil {
		w.t.Fatal(err, resp)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	return c, resp
}

func wantClosed(t *testing.T, c *websocket.Conn, code int, reason string) {
	t.Helper()
	_, _, err := c.ReadMessage()
	if e, ok := errors.AsType[*websocket.CloseError](err); !ok || e.Code != code || e.Text != reason {
		t.Errorf("the client has read %v, want %d %s", err, code, reason)
	}
}

// gorillaCode is the code of a close frame that gorilla has read.
func gorillaCode(err error) int {
	if e, ok := errors.AsType[*websocket.CloseError](err); ok {
		return e.Code
	}
	return 0
}
