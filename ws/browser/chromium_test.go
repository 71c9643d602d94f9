package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/browser"
)

const (
	control = "https://control.example"
	policy  = "default-src 'none'; script-src 'nonce-of-the-test'; connect-src 'self' " + control +
		"; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)

func chromium(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err == nil {
		return program
	}
	const missing = "no chromium here; install it with: apt-get install -y chromium"
	if os.Getenv("SECUREWS_ALL") == "1" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// serveDocument serves the page with a strict policy: no script runs without the nonce.
func serveDocument(mux *http.ServeMux, o options) {
	mux.Handle(browser.Root, browser.Handler())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		arg, _ := json.Marshal(o)
		_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Test</title>
			<script type="importmap" nonce="of-the-test">%s</script>
			<script type="module" src="/page.js" nonce="of-the-test"></script>
			<body data-options="%s">`, browser.ImportMap(), html.EscapeString(string(arg)))
	})
	for _, script := range []string{"page.js", "orders.js"} {
		mux.HandleFunc("GET /"+script, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
			http.ServeFile(w, r, "test/live/"+script)
		})
	}
}

// told is the route to which a page reports events, and from which it fetches commands.
func told(p *page) (http.Handler, io.WriteCloser) {
	r, w := io.Pipe()
	todo := json.NewDecoder(r)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /tell", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		var lines []line
		if err := json.NewDecoder(r.Body).Decode(&lines); err != nil {
			p.t.Errorf("the page told what is no JSON: %v", err)
		}
		for _, l := range lines {
			if l.Fault != "" {
				p.t.Errorf("on the page: %s", l.Fault)
			}
			p.lines <- l
		}
	})
	mux.HandleFunc("GET /todo", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		var what json.RawMessage
		if todo.Decode(&what) == nil {
			_, _ = w.Write(what)
		}
	})
	return mux, w
}

// browse opens the page in a new Chromium, at https://app.example. The site must not have
// been started.
func (s *site) browse(o options) *page {
	s.t.Helper()
	program := chromium(s.t)
	p := &page{t: s.t, lines: make(chan line, 1<<16)}
	h, in := told(p)
	p.in = in
	aside := httptest.NewTLSServer(h)
	s.t.Cleanup(aside.Close)
	s.t.Cleanup(func() { _ = in.Close() })

	all := options{"control": control, "url": "/ws", "ticket": "/ticket", "protocols": []string{"chat"}, "times": fast}
	for k, v := range o {
		all[k] = v
	}
	before := s.more
	s.more = func(mux *http.ServeMux) {
		if before != nil {
			before(mux)
		}
		serveDocument(mux, all)
	}
	s.start()
	to := s.addr
	if s.path != nil {
		to = s.path.listener.Addr().String()
	}

	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	cmd := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--ignore-certificate-errors", "--user-data-dir="+s.t.TempDir(),
		fmt.Sprintf("--host-resolver-rules=MAP app.example:443 %s,MAP control.example:443 %s", to, aside.Listener.Addr()),
		origin+"/")
	cmd.Stderr = io.Discard // a pipe that its children inherit: Wait waits until they have closed the profile
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	return p
}

func TestChromiumComesBack(t *testing.T) {
	s := newSite(t, ws.Config{Serve: echo})
	s.firstTicketIsOld()
	p := s.browse(nil)
	p.replacesItsTicket(s)
	p.do(options{"send": "before"})
	p.message("before")

	s.drain()
	if e := p.state("waiting").Ending; e.Code != 1012 || e.Reason != "restart" {
		t.Errorf("%+v, want 1012 restart", e)
	}
	p.do(options{"send": "meanwhile"})
	s.start()
	p.message("meanwhile")

	s.kill()
	for range 8 {
		p.state("waiting")
	}
	s.start()
	p.state("open")

	dials := s.dials.Load()
	p.do(options{"sleep": true})
	p.do(options{"send": "awake"})
	p.message("awake")
	if n := s.dials.Load() - dials; n != 0 {
		t.Errorf("%d dials after the sleep, want none: the server answers", n)
	}
	dials, tickets := s.dials.Load(), s.fetched.Load()

	if err := s.revoked.Revoke(t.Context(), middleware.Revocation{SessionHandle: "s1"}); err != nil {
		t.Fatal(err)
	}
	if e := p.state("closed").Ending; e.Code != 3000 || e.Reason != "revoked" || e.Next != "sign-in" {
		t.Errorf("%+v, want 3000 revoked", e)
	}
	p.end()
	if s.dials.Load() != dials || s.fetched.Load() != tickets {
		t.Error("it went on after it was revoked")
	}
	if m := s.most.Load(); m != 1 {
		t.Errorf("%d handshakes at once, want 1", m)
	}
}

func TestChromiumRenewsOnce(t *testing.T) {
	var refused atomic.Bool // the first connection is served, and every other one closed at once
	s := newSite(t, ws.Config{Serve: func(ctx context.Context, c *ws.Conn) error {
		if refused.Swap(true) {
			return ws.ErrExpired
		}
		return echo(ctx, c)
	}})
	s.holder.lives = []time.Duration{2 * time.Second}
	p := s.browse(options{"refresh": false})
	if e := p.until("expired", func(l line) bool { return l.Ending != nil }).Ending; e.Reason != "expired" || e.Next != "renew" {
		t.Errorf("%+v, want expired", e)
	}
	if e := p.state("closed").Ending; e.Reason != "expired" || e.Next != "sign-in" {
		t.Errorf("%+v, want expired and the end", e)
	}
	p.end()
	if s.fetched.Load() != 2 || s.dials.Load() != 2 {
		t.Errorf("%d tickets, %d dials, want 2 and 2", s.fetched.Load(), s.dials.Load())
	}
	s.alone()
}

func TestChromiumReadsRefusals(t *testing.T) {
	s := newSite(t, ws.Config{Serve: echo, ExplainRefusals: true, Authorize: func(*http.Request, middleware.Principal) (any, error) {
		return nil, &middleware.Refusal{Status: 403, Reason: middleware.ReasonForbidden}
	}})
	p := s.browse(options{"first": options{"send": "waits"}})
	if e := p.state("closed").Ending; e.Code != 3003 || e.Reason != "forbidden" || e.Next != "stop" {
		t.Errorf("%+v, want 3003 forbidden", e)
	}
	if l := p.until("undelivered", func(l line) bool { return l.Undelivered != nil }); *l.Undelivered != "waits" {
		t.Errorf("%q came back", *l.Undelivered)
	}
}

func TestChromiumSeals(t *testing.T) {
	for suite, name := range suiteNames {
		t.Run(name, func(t *testing.T) {
			s, _ := sealedSite(t, suite)
			p := s.browse(options{"sealed": options{"audience": audience, "principal": "alice"}})
			p.exchange()
			s.drain()
			p.state("waiting")
			s.start()
			p.exchange()
			p.do(options{"send": "bye"})
			if e := p.state("closed").Ending; e.Code != 1000 || e.Truncated {
				t.Errorf("%+v, want 1000 and the close record before it", e)
			}
			s.alone()
		})
	}
}
