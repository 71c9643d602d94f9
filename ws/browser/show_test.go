package browser_test

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/securews/securews/internal/needed"
	"github.com/securews/securews/ws/browser"
)

// The page is at origin, and its reports go to control.
const (
	control = "https://control.example:444"
	policy  = "default-src 'none'; script-src 'nonce-of-the-test'; connect-src 'self' " + control +
		"; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)

// show starts a browser that shows the page at origin. The two addresses are those of origin and
// of control.
type show func(t *testing.T, site, aside string) *remote

// inBrowsers runs a test in each browser.
func inBrowsers(t *testing.T, run func(*testing.T, show)) {
	t.Run("Chromium", func(t *testing.T) { run(t, chromium) })
	t.Run("Firefox", func(t *testing.T) {
		needed.SameForServer(t, "Chromium")
		run(t, firefox)
	})
}

func chromium(t *testing.T, site, aside string) *remote {
	t.Helper()
	cmd := exec.Command(needed.Program(t, "chromium", "apt-get install -y chromium"),
		"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-quic", "--disable-background-networking", "--disable-background-timer-throttling",
		"--disable-renderer-backgrounding", "--disable-component-update", "--disable-sync",
		"--ignore-certificate-errors", "--user-data-dir="+t.TempDir(), "--remote-debugging-port=0",
		fmt.Sprintf("--host-resolver-rules=MAP app.example:443 %s,MAP control.example:444 %s", site, aside),
		origin+"/")
	return pageOf(t, begin(t, cmd))
}

func firefox(t *testing.T, site, aside string) *remote {
	t.Helper()
	program, profile := needed.Program(t, "firefox-esr", "apt-get install -y firefox-esr"), t.TempDir()
	settings := fmt.Sprintf(`user_pref("network.dns.localDomains", "app.example,control.example");
user_pref("network.socket.forcePort", "443=%s;444=%s");
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.normandy.enabled", false);
`, portOf(t, site), portOf(t, aside))
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", profile)
	cmd.Env = append(os.Environ(), "HOME="+profile)
	r := dialRemote(t, begin(t, cmd)+"/session", "browser.close")
	r.do("session.new", options{"capabilities": options{"alwaysMatch": options{"acceptInsecureCerts": true}}}, nil)
	var tab struct{ Context string }
	r.do("browsingContext.create", options{"type": "tab"}, &tab)
	r.do("browsingContext.navigate", options{"context": tab.Context, "url": origin + "/", "wait": "none"}, nil)
	return r
}

func portOf(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// serveDocument serves the page, and another one, with a strict policy: no script runs without
// the nonce.
func serveDocument(mux *http.ServeMux, o options) {
	mux.Handle(browser.Root, browser.Handler())
	for path, script := range map[string]string{"/{$}": "page.js", "/away": "away.js"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", policy)
			arg, _ := json.Marshal(o)
			_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Test</title>
				<script type="importmap" nonce="of-the-test">%s</script>
				<script type="module" src="/%s" nonce="of-the-test"></script>
				<body data-options="%s">`, browser.ImportMap(), script, html.EscapeString(string(arg)))
		})
	}
	for _, script := range []string{"page.js", "orders.js", "away.js"} {
		mux.HandleFunc("GET /"+script, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
			http.ServeFile(w, r, "test/live/"+script)
		})
	}
}

// told is the route to which a page reports events, and from which it fetches commands.
func told(p *page) (http.Handler, io.WriteCloser) {
	r, w := io.Pipe()
	orders := make(chan json.RawMessage)
	go func() {
		defer close(orders)
		for todo := json.NewDecoder(r); ; {
			var order json.RawMessage
			if todo.Decode(&order) != nil {
				return
			}
			select {
			case orders <- order:
			case <-p.t.Context().Done():
				return
			}
		}
	}()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /tell", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		var lines []line
		if err := json.NewDecoder(r.Body).Decode(&lines); err != nil && r.Context().Err() == nil {
			p.t.Errorf("the page told what is no JSON: %v", err)
		}
		for _, l := range lines {
			if l.Fault != "" {
				p.t.Errorf("on the page: %s", l.Fault)
			}
			p.lines <- l
		}
	})
	mux.HandleFunc("GET /todo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		select {
		case order := <-orders:
			_, _ = w.Write(order)
		case <-r.Context().Done():
		}
	})
	return mux, w
}

// browse has a browser show the page. The site must not have been started.
func (s *site) browse(in show, o options) *page {
	s.t.Helper()
	p := &page{t: s.t, lines: make(chan line, 1<<16)}
	h, orders := told(p)
	p.in = orders
	aside := httptest.NewTLSServer(h)
	s.t.Cleanup(aside.Close)
	s.t.Cleanup(func() { _ = orders.Close() })

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
		s.path.leads(s.addr)
		to = s.path.listener.Addr().String()
	}
	p.browser = in(s.t, to, aside.Listener.Addr().String())
	return p
}
