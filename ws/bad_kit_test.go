package ws_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// fault is what an implementation of one of our interfaces does wrong. The nil fault is
// nothing.
type fault func() error

// Find, Commit and Delete are those of scs.Store, Put and Consume of ticket.Store, Allow of
// middleware.Limiter, and the rest is that of an Authenticator and of Revocations.
type faulty struct {
	user
	middleware.Revocations
	in    string // the method that is faulty; "": each of them
	fault fault
}

func (f faulty) do(in string) error {
	if (f.in == in || f.in == "") && f.fault != nil {
		return f.fault()
	}
	return nil
}

func (f faulty) Authenticate(r *http.Request) (middleware.Principal, error) {
	if err := f.do("Authenticate"); err != nil {
		return middleware.Principal{}, err
	}
	return f.user.Authenticate(r)
}

func (f faulty) Alive(context.Context, middleware.Principal) error { return f.do("Alive") }

func (f faulty) Revoked(context.Context, middleware.Principal) (bool, error) {
	return false, f.do("Revoked")
}

func (f faulty) Follow(func(middleware.Revocation)) (stop func()) {
	_ = f.do("Follow")
	return func() {}
}

func (f faulty) Find(string) ([]byte, bool, error)    { return nil, false, f.do("Find") }
func (faulty) Commit(string, []byte, time.Time) error { return nil }
func (faulty) Delete(string) error                    { return nil }
func (f faulty) Consume(context.Context, string) ([]byte, error) {
	return nil, errors.Join(f.do("Consume"), ticket.ErrNotFound)
}

func (faulty) Put(context.Context, string, []byte, time.Duration) error { return nil }

func (f faulty) Allow(context.Context, string) (time.Duration, error) { return 0, f.do("Allow") }

func (f faulty) authorize(*http.Request, middleware.Principal) (any, error) {
	return nil, f.do("Authorize")
}

// badWorld has a good route and a bad one on one registry, whose places are as many as the
// handshakes of a test.
type badWorld struct {
	t    *testing.T
	live *live.Registry
	l    *wstest.Listener
	logs *logs
}

// serveBad serves bad(f) at /bad, and a handler without a fault at /good.
func serveBad(t *testing.T, f faulty, of live.Config, bad func(*badWorld, faulty) http.Handler) *badWorld {
	t.Helper()
	w := &badWorld{t: t, l: wstest.NewListener(), logs: &logs{}}
	of.Limits = live.Limits{Connections: badPlaces, PerPrincipal: badPlaces}
	of.Log = w.logs.logger()
	w.live = registry(t, of)
	mux := http.NewServeMux()
	mux.Handle("/good", w.handler(ws.Config{Auth: revokedBy(t, middleware.NewRevocations())}))
	mux.Handle("/bad", bad(w, f))
	srv := quiet(mux)
	srv.ErrorLog.SetOutput(w.logs) // where net/http writes the value of a panic
	done := make(chan error, 1)
	go func() { done <- srv.Serve(w.l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		for _, c := range w.l.Conns() {
			_ = c.Close()
		}
		<-done
	})
	return w
}

func (w *badWorld) handler(cfg ws.Config) *ws.Handler {
	cfg.Live, cfg.Log, cfg.DangerouslyAllowPlaintext = w.live, w.logs.logger(), true
	cfg.Subprotocols = []string{"chat"}
	return handler(w.t, cfg)
}

func (w *badWorld) byAuth(list ...middleware.Authenticator) http.Handler {
	return w.handler(ws.Config{Auth: auth(w.t, list...)})
}

// answered is how one handshake was answered.
type answered struct {
	conn   net.Conn
	status int
	after  time.Duration
}

// many has n handshakes answered at once.
func (w *badWorld) many(n int, path string) []answered {
	all := make([]answered, n)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i] = w.one(path) })
	}
	wg.Wait()
	return all
}

// one carries every kind of credential that a bad route may look for.
func (w *badWorld) one(path string) answered {
	secret := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	edits := []string{"GET " + path + " HTTP/1.1", "X-User: ann"}
	if path == "/bad" {
		edits = append(edits, "Cookie: __Host-session="+secret, "Sec-WebSocket-Protocol: chat, ticket."+secret)
	}
	begun := time.Now()
	conn, res := open(w.t, w.l, edits...)
	return answered{conn, res.StatusCode, time.Since(begun)}
}

func (w *badWorld) want(all []answered, sentence string, status int, latest time.Duration) {
	w.t.Helper()
	for i, a := range all {
		if a.status != status || a.after > latest {
			w.t.Fatalf("%s: number %d was answered %d after %v, want %d within %v", sentence, i, a.status, a.after, status, latest)
		}
	}
}

// wantClosed wants each of the connections to end so, and all of them in time.
func (w *badWorld) wantClosed(all []answered, code uint16, reason string, latest time.Duration) {
	w.t.Helper()
	begun := time.Now()
	var each sync.WaitGroup
	for _, a := range all {
		each.Go(func() {
			c := &raw{w.t, a.conn, bufio.NewReader(a.conn)}
			opcode, payload, err := c.next()
			want := string(binary.BigEndian.AppendUint16(nil, code)) + reason
			if opcode != 8 || payload != want || time.Since(begun) > latest {
				w.t.Errorf("opcode %d, %q, %v after %v; want a close frame %d %q within %v",
					opcode, payload, err, time.Since(begun), code, reason, latest)
			}
			_ = a.conn.Close()
		})
	}
	each.Wait()
}
