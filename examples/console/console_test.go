package console_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/examples/internal/pages"
	"github.com/securews/securews/middleware"
)

// patience bounds one step.
const patience = time.Minute

// browser opens an address in a new tab, waits until the page has loaded, and returns the
// warnings and errors of its console.
type browser func(url string) (console []string, err error)

var browsers = []struct {
	name  string
	start func(*testing.T) browser
}{
	{"Chromium", startChromium},
	{"Firefox", startFirefox},
}

// No page of the examples causes a warning, at a name and at an address.
func TestPagesAreSilent(t *testing.T) {
	for _, b := range browsers {
		t.Run(b.name, func(t *testing.T) {
			open := b.start(t)
			for dir, path := range map[string]string{"../chat": "/", "../feed": "/", "../upgraders": "/"} {
				command := pages.Build(t, dir)
				for _, addr := range []string{"localhost:0", "127.0.0.1:0"} {
					url := serve(t, command, addr) + path
					if lines, err := open(url); err != nil || len(lines) > 0 {
						t.Errorf("%s at %s: %v\n%s", dir, url, err, strings.Join(lines, "\n"))
					}
				}
			}
		})
	}
}

// No configuration of the headers of package middleware does.
func TestHeadersAreSilent(t *testing.T) {
	page := middleware.CSP{
		Nonce: true, Script: []string{"'strict-dynamic'"}, ScriptElem: []string{"'self'"},
		ScriptAttr: []string{"'none'"}, DangerouslyInlineStyleAttr: true,
		Img:                       []string{"'self'", "data:", "https://bücher.example", "https://*.cdn.example"},
		Frame:                     []string{"blob:", "https://pay.example"},
		Connect:                   []string{"'self'", "https:", "wss:", "ws://localhost:*", "http://127.0.0.1:8080"},
		DangerouslyAnyConnect:     true,
		DangerouslyAllowLocalHTTP: true, RequireTrustedTypes: true, TrustedTypes: []string{"app"}, ReportTo: "/csp",
	}
	for _, b := range browsers {
		t.Run(b.name, func(t *testing.T) {
			open := b.start(t)
			for name, cfg := range map[string]middleware.HeadersConfig{
				"the preset": {},
				"a page":     {CSP: middleware.CSP{Default: []string{"'self'"}, Img: []string{"data:"}}},
				"a sandbox": {CSP: middleware.CSP{
					Img:     []string{"data:"},
					Sandbox: []string{"allow-scripts", "allow-downloads", "allow-popups"},
				}},
				"a widget": {CSP: middleware.CSP{Img: []string{"data:"}, DangerouslyAnyFrameAncestor: true}},
				"everything": {
					CSP: page, ReportOnly: &middleware.CSP{Nonce: true, Img: []string{"data:"}, ReportTo: "/csp"},
					OpenerPolicyReportOnly: "same-origin", EmbedderPolicyReportOnly: "require-corp", IsolationReportTo: "/isolation",
					Permissions: map[string][]string{"local-network": nil, "local-network-access": {"self"}, "loopback-network": {"self"}},
				},
				"isolation": {CSP: middleware.CSP{Img: []string{"data:"}}, EmbedderPolicy: "require-corp", OriginAgentCluster: true},
			} {
				headers, err := middleware.NewHeaders(cfg)
				if err != nil {
					t.Fatal(err)
				}
				srv := httptest.NewTLSServer(headers.Handler(document))
				if lines, err := open(atLocalhost(srv)); err != nil || len(lines) > 0 {
					t.Errorf("%s: %v\n%s", name, err, strings.Join(lines, "\n"))
				}
				srv.Close()
			}
		})
	}
}

// A page that deserves a warning gets it: the tests above would see one.
func TestConsoleIsRead(t *testing.T) {
	warned := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src data:; nonsense-src 'self'")
			next.ServeHTTP(w, r)
		})
	}
	srv := httptest.NewTLSServer(warned(document))
	defer srv.Close()
	for _, b := range browsers {
		t.Run(b.name, func(t *testing.T) {
			lines, err := b.start(t)(atLocalhost(srv))
			if err != nil || !slices.ContainsFunc(lines, func(s string) bool { return strings.Contains(s, "nonsense-src") }) {
				t.Errorf("%v, %q: no warning about a directive that does not exist", err, lines)
			}
		})
	}
}

// document is a page without scripts, and without a request for an icon.
var document = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, `<!doctype html><html lang="en"><title>page</title><p>text`)
})

func atLocalhost(srv *httptest.Server) string {
	return strings.Replace(srv.URL, "127.0.0.1", "localhost", 1) + "/"
}

// serve runs a command until the test ends, and returns the origin that it announces.
func serve(t *testing.T, command, addr string) (origin string) {
	t.Helper()
	pages.Serve(t, func(line string) bool {
		origin = pages.Origin.FindString(line)
		return origin != ""
	}, command, "-addr", addr)
	return origin
}
