package browser_test

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/ws"
)

const origin = "https://app.example"

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// holder authenticates the requests for tickets.
type holder struct {
	mu    sync.Mutex
	lives []time.Duration // of the credential, one after the other; then for ever
	err   error
}

func (h *holder) Ambient() bool { return false }

func (h *holder) Authenticate(*http.Request) (middleware.Principal, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := middleware.Principal{Issuer: "test", Subject: "alice", SessionHandle: "s1", Method: "bearer", IssuedAt: time.Now()}
	if len(h.lives) > 0 {
		p.Expires = time.Now().Add(h.lives[0])
		h.lives = h.lives[1:]
	}
	return p, h.err
}

func (h *holder) refuse(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

// site is a server that can be ended and started again at the same address.
type site struct {
	t       *testing.T
	addr    string
	path    *path     // to the server, if a browser dials through one
	cfg     ws.Config // Serve, and the fields that a test sets
	holder  *holder
	issuing *middleware.Auth
	tickets *ticket.Tickets
	revoked middleware.Revocations
	more    func(*http.ServeMux)
	front   func(http.Handler) http.Handler // before the site, if not nil
	slow    time.Duration                   // delay of the first ticket

	live *live.Registry
	srv  *httptest.Server

	dials, fetched atomic.Int64 // handshakes and tickets asked for
	inFlight, most atomic.Int64 // handshakes at once
	open, mostOpen atomic.Int64 // connections at once
}

func newSite(t *testing.T, cfg ws.Config) *site {
	t.Helper()
	node(t)
	s := &site{t: t, cfg: cfg, holder: &holder{}, revoked: middleware.NewRevocations(), addr: "127.0.0.1:0"}
	s.cfg.Origins = must(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{origin}}))(t)
	s.authenticates(middleware.WithRevocations(s.holder, s.revoked))
	s.cfg.Log = slog.New(slog.DiscardHandler)
	if s.cfg.Subprotocols == nil {
		s.cfg.Subprotocols = []string{"chat"}
	}
	serve := s.cfg.Serve
	s.cfg.Serve = func(ctx context.Context, c *ws.Conn) error {
		raise(&s.mostOpen, s.open.Add(1))
		defer s.open.Add(-1)
		return serve(ctx, c)
	}
	t.Cleanup(func() { s.kill() })
	return s
}

// authenticates issues tickets to the principals of a.
func (s *site) authenticates(a middleware.Authenticator) {
	s.t.Helper()
	s.issuing = must(middleware.NewAuth(a))(s.t)
	s.tickets = must(ticket.New(ticket.Config{Path: "/ws", Origins: s.cfg.Origins, Auth: s.issuing}))(s.t)
	s.cfg.Auth = must(middleware.NewAuth(s.tickets))(s.t)
}

func raise(most *atomic.Int64, n int64) {
	for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
	}
}

// start starts the server; the first time at a new port.
func (s *site) start() {
	s.t.Helper()
	s.live = must(live.New(live.Config{Timeouts: live.Timeouts{Spread: time.Millisecond}}))(s.t)
	s.cfg.Live = s.live
	socket := must(ws.New(s.cfg))(s.t)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /ticket", func(w http.ResponseWriter, r *http.Request) {
		if s.fetched.Add(1) == 1 {
			w = &late{w, s.slow}
		}
		s.tickets.Issue().ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /ws", func(w http.ResponseWriter, r *http.Request) {
		s.dials.Add(1)
		raise(&s.most, s.inFlight.Add(1))
		defer s.inFlight.Add(-1)
		socket.ServeHTTP(w, r)
	})
	if s.more != nil {
		s.more(mux)
	}
	var h http.Handler = mux
	if s.front != nil {
		h = s.front(mux)
	}
	s.srv = httptest.NewUnstartedServer(h)
	_ = s.srv.Listener.Close()
	s.srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	s.srv.Listener = must((&net.ListenConfig{}).Listen(s.t.Context(), "tcp", s.addr))(s.t)
	s.addr = s.srv.Listener.Addr().String()
	s.srv.StartTLS()
}

// late delays the writes of a response.
type late struct {
	http.ResponseWriter
	by time.Duration
}

func (l *late) Write(p []byte) (int, error) {
	<-time.After(l.by)
	return l.ResponseWriter.Write(p)
}

// firstTicketIsOld limits tickets to 3 s, within which a busy machine uses them, and delays the first
// one for longer.
func (s *site) firstTicketIsOld() {
	s.t.Helper()
	const life = 3 * time.Second
	s.tickets = must(ticket.New(ticket.Config{Path: "/ws", Origins: s.cfg.Origins, Auth: s.issuing, Lifetime: life}))(s.t)
	s.cfg.Auth = must(middleware.NewAuth(s.tickets))(s.t)
	s.slow = life + 50*time.Millisecond
}

// kill ends the server without close frames.
func (s *site) kill() {
	if s.srv == nil {
		return
	}
	_ = s.srv.Listener.Close()
	s.srv.CloseClientConnections()
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // a shutdown without time cuts hijacked connections
	_ = s.live.Shutdown(ctx)
	s.srv.Close()
	s.srv = nil
}

// drain ends the server as a deployment does: 1012 for every connection.
func (s *site) drain() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := s.live.Shutdown(ctx); err != nil {
		s.t.Errorf("drain: %v", err)
	}
	s.srv.Close()
	s.srv = nil
}

// options are the options of the client, for test/live/client.js.
type options map[string]any

// fast are times for tests; a stable connection still has to live for 10 s.
var fast = options{"first": 20, "longest": 200, "spread": 50}

func (s *site) dial(more options) *page {
	s.t.Helper()
	o := options{
		"url": "wss://" + s.addr + "/ws", "ticket": "https://" + s.addr + "/ticket", "origin": origin,
		"protocols": []string{"chat"}, "times": fast,
	}
	for k, v := range more {
		o[k] = v
	}
	arg := must(json.Marshal(o))(s.t)
	ca := filepath.Join(s.t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.srv.Certificate().Raw})
	if err := os.WriteFile(ca, cert, 0o600); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*patience)
	s.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, node(s.t), "test/live/client.js", string(arg))
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+ca)
	cmd.Stderr = s.t.Output()
	in := must(cmd.StdinPipe())(s.t)
	out := must(cmd.StdoutPipe())(s.t)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	p := &page{t: s.t, in: in, lines: make(chan line, 1<<16)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(p.lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			var l line
			if err := json.Unmarshal(scan.Bytes(), &l); err != nil {
				s.t.Errorf("the client said %q", scan.Bytes())
			}
			p.lines <- l
		}
	}()
	s.t.Cleanup(func() {
		cancel()
		<-done
		_ = cmd.Wait()
	})
	return p
}
