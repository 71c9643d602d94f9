package ws_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// A wrapper that hides the connection is named in the log, and
// nowhere else.
func TestWrapperThatHidesHijackIsNamedInTheLog(t *testing.T) {
	tests := []struct {
		sentence string
		wrap     func(http.Handler) http.Handler
		name     string
	}{
		{"a wrapper that embeds the interface", func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(hiding{w}, r) })
		}, "ws_test.hiding"},
		{
			"http.TimeoutHandler", func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "") },
			"*http.timeoutWriter",
		},
		{"behind one that can be unwrapped", func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(unwrapped{hiding{w}}, r)
			})
		}, "ws_test.hiding"},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			logs := &logs{}
			asked := false
			h := handler(t, ws.Config{Log: logs.logger(), Auth: auth(t, admit(func(*http.Request) (middleware.Principal, error) {
				asked = true
				return middleware.Principal{Subject: "ann"}, nil
			}))})
			res, body := answer(t, secure(t, wstest.Start(t, quiet(tt.wrap(h)))), edited())
			wantRefusal(t, res, body, 500, "internal")
			if s := logs.String(); !strings.Contains(s, tt.name+" hides http.Hijacker") {
				t.Errorf("the log does not name %s:\n%s", tt.name, s)
			}
			if asked {
				t.Error("a credential was looked at for nothing")
			}
		})
	}
}

// The routers and wrappers in front are those of net/http; the module internal/interop has a
// test behind chi.
func TestUpgradesBehind(t *testing.T) {
	headers, err := middleware.NewHeaders(middleware.HeadersConfig{})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		sentence string
		wrap     func(http.Handler) http.Handler
	}{
		{"nothing", func(h http.Handler) http.Handler { return h }},
		{"http.ServeMux", func(h http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("GET /ws", h)
			return mux
		}},
		{"our own layers", func(h http.Handler) http.Handler {
			return middleware.Chain(h, middleware.AccessLog(new(logs).logger()), headers.Handler, middleware.RequireTLS(nil),
				origins(t, wstest.URL).Handler)
		}},
		{"http.StripPrefix, MaxBytesHandler and AllowQuerySemicolons", func(h http.Handler) http.Handler {
			return http.StripPrefix("/ws", http.MaxBytesHandler(http.AllowQuerySemicolons(h), 1<<10))
		}},
		{"http.CrossOriginProtection", func(h http.Handler) http.Handler { return http.NewCrossOriginProtection().Handler(h) }},
		{"a wrapper with Unwrap", func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(unwrapped{w}, r) })
		}},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			srv := wstest.Start(t, quiet(tt.wrap(handler(t, ws.Config{}))))
			conn := secure(t, srv)
			defer conn.Close()
			wantEcho(t, conn, true)
		})
	}
}

// The upgrade passes net/http's own reverse proxy, both ways.
func TestUpgradesBehindAReverseProxy(t *testing.T) {
	proxies, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	backend := httptest.NewServer(handler(t, ws.Config{Proxies: proxies}))
	defer backend.Close()
	target, _ := url.Parse(backend.URL)
	srv := wstest.Start(t, quiet(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}}))
	conn := secure(t, srv)
	defer conn.Close()
	wantEcho(t, conn, false) // the proxy drops early frames, which browsers never send
}

// ASVS 3.4.1: on every answer, the 101 and refusals too.
func TestOuterHeadersAreOnEveryAnswer(t *testing.T) {
	headers, err := middleware.NewHeaders(middleware.HeadersConfig{})
	if err != nil {
		t.Fatal(err)
	}
	srv := wstest.Start(t, quiet(headers.Handler(handler(t, ws.Config{}))))
	for request, status := range map[string]int{edited(): 101, edited("Origin: null"): 403, edited("Upgrade:"): 426} {
		res, _ := answer(t, secure(t, srv), request)
		if res.StatusCode != status {
			t.Errorf("answered %d, want %d", res.StatusCode, status)
		}
		for name, want := range map[string]string{
			"Strict-Transport-Security": "max-age=63072000; includeSubDomains",
			"X-Content-Type-Options":    "nosniff",
			"X-Frame-Options":           "DENY",
			"Referrer-Policy":           "same-origin",
		} {
			if got := res.Header.Values(name); !slices.Equal(got, []string{want}) {
				t.Errorf("%d has %s: %q, want %q", status, name, got, want)
			}
		}
	}
}
