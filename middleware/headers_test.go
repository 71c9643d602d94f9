package middleware_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// strictPreset is the zero value in writing. The names are literals, letter for
// letter those of RFC 6797 §6.1, RFC 7034 §2, CSP3 §3.1, Fetch §3.7 and §3.8, the
// W3C's Referrer Policy §4.1 and Permissions Policy §5.2, HTML §7.1.3.1, and RFC 9111 §5.2.2.5.
var strictPreset = map[string]string{
	"Strict-Transport-Security": "max-age=63072000; includeSubDomains",
	"Content-Security-Policy": "default-src 'none'; object-src 'none'; base-uri 'none'; form-action " +
		"'none'; frame-ancestors 'none'; sandbox",
	"X-Frame-Options":              "DENY",
	"X-Content-Type-Options":       "nosniff",
	"Referrer-Policy":              "same-origin",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy": "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), idle-detection=(), " +
		"magnetometer=(), microphone=(), midi=(), payment=(), usb=(), window-management=(), xr-spatial-tracking=()",
	"Cache-Control": "no-store",
}

func mustHeaders(t testing.TB, cfg middleware.HeadersConfig) *middleware.Headers {
	t.Helper()
	h, err := middleware.NewHeaders(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// overTLS is a GET on TLS to this server.
func overTLS(host string) *http.Request { return httptest.NewRequest("GET", "https://"+host+"/", nil) }

// headersOf serves a request and returns the header of the answer.
func headersOf(h *middleware.Headers, r *http.Request) http.Header {
	rec := httptest.NewRecorder()
	h.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(rec, r)
	return rec.Header()
}

func wantStrictPreset(t testing.TB, got http.Header) {
	t.Helper()
	for name, want := range strictPreset {
		if v := got[http.CanonicalHeaderKey(name)]; len(v) != 1 || v[0] != want {
			t.Errorf("%s: %q\nwant %q", name, v, want)
		}
	}
}

func TestHeadersZeroValueIsTheStrictPreset(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]*middleware.Headers{
		"zero config": mustHeaders(t, middleware.HeadersConfig{}), "zero Headers": {}, "nil Headers": nil,
	} {
		t.Run(name, func(t *testing.T) {
			got := headersOf(h, overTLS("app.example"))
			wantStrictPreset(t, got)
			if len(got) != len(strictPreset) {
				t.Errorf("more than the preset: %v", slices.Sorted(maps.Keys(got)))
			}
		})
	}
}

// On every answer of every handler (ASVS 3.4.1): a refusal, a missing page, a
// recovered panic, a redirect, and the 101 on the wire.
func TestHeadersAreOnEveryAnswer(t *testing.T) {
	t.Parallel()
	recovering := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { _ = recover(); middleware.Refuse(w, r, nil) }()
			next.ServeHTTP(w, r)
		})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ok", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	mux.Handle("GET /refused", new(middleware.Auth).Handler(http.NotFoundHandler()))
	mux.Handle("GET /redirect", http.RedirectHandler("/ok", http.StatusFound))
	mux.Handle("GET /panic", recovering(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("x") })))
	mux.HandleFunc("GET /ws", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusSwitchingProtocols)
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = c.Close()
		}
	})
	srv := httptest.NewTLSServer(middleware.Chain(mux,
		middleware.AccessLog(slog.New(slog.DiscardHandler)), mustHeaders(t, middleware.HeadersConfig{}).Handler))
	defer srv.Close()
	for path, status := range map[string]int{
		"/ok": 200, "/refused": 401, "/missing": 404, "/redirect": 302, "/panic": 500, "/ws": 101,
	} {
		t.Run(path, func(t *testing.T) {
			c, err := tls.Dial("tcp", srv.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true}) // the test's own certificate
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n", path)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != status {
				t.Errorf("%d, want %d", resp.StatusCode, status)
			}
			wantStrictPreset(t, resp.Header)
		})
	}
}

// An inner layer replaces values for its answer, and does not change those of the next
// answer.
func TestHeadersMayBeReplacedFurtherIn(t *testing.T) {
	t.Parallel()
	pages := mustHeaders(t, middleware.HeadersConfig{CSP: middleware.CSP{
		Default: []string{"'self'"}, FrameAncestors: []string{"https://portal.example"},
	}})
	h := middleware.Chain(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Referrer-Policy", "no-referrer")
		w.Header().Set("Cross-Origin-Opener-Policy", "unsafe-none")
	}), new(middleware.Headers).Handler, pages.Handler)
	for range 2 {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, requestWith("GET", "/"))
		got := rec.Result().Header
		if v := got["Referrer-Policy"]; !slices.Equal(v, []string{"same-origin", "no-referrer"}) {
			t.Errorf("Referrer-Policy %q", v)
		}
		if v := got.Get("Cross-Origin-Opener-Policy"); v != "unsafe-none" {
			t.Errorf("Cross-Origin-Opener-Policy %q", v)
		}
		if v := got.Get("Content-Security-Policy"); !strings.HasSuffix(v, "frame-ancestors https://portal.example") {
			t.Errorf("Content-Security-Policy %q", v)
		}
		if v := got["X-Frame-Options"]; len(v) != 0 {
			t.Errorf("X-Frame-Options %q contradicts frame-ancestors", v)
		}
	}
	wantStrictPreset(t, headersOf(new(middleware.Headers), overTLS("app.example")))
}

func TestHeadersOptions(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	for _, tt := range []struct {
		name   string
		cfg    middleware.HeadersConfig
		header string
		want   string
	}{
		{"HSTS of a year", middleware.HeadersConfig{HSTS: year}, "Strict-Transport-Security", "max-age=31536000; includeSubDomains"},
		{"HSTS of this host", middleware.HeadersConfig{HSTSThisHostOnly: true}, "Strict-Transport-Security", "max-age=63072000"},
		{
			"HSTS preload",
			middleware.HeadersConfig{HSTSPreload: true},
			"Strict-Transport-Security", "max-age=63072000; includeSubDomains; preload",
		},
		{
			"HSTS roll-out",
			middleware.HeadersConfig{HSTS: 5 * time.Minute, DangerouslyShortHSTS: true},
			"Strict-Transport-Security", "max-age=300; includeSubDomains",
		},
		{"no referrer", middleware.HeadersConfig{ReferrerPolicy: "no-referrer"}, "Referrer-Policy", "no-referrer"},
		{
			"pop-ups",
			middleware.HeadersConfig{OpenerPolicy: "same-origin-allow-popups"},
			"Cross-Origin-Opener-Policy", "same-origin-allow-popups",
		},
		{"public resources", middleware.HeadersConfig{ResourcePolicy: "cross-origin"}, "Cross-Origin-Resource-Policy", "cross-origin"},
		{"isolation", middleware.HeadersConfig{EmbedderPolicy: "require-corp"}, "Cross-Origin-Embedder-Policy", "require-corp"},
		{
			"framed by itself",
			middleware.HeadersConfig{CSP: middleware.CSP{FrameAncestors: []string{"'self'"}}},
			"X-Frame-Options", "SAMEORIGIN",
		},
		{
			"framed by nobody, in words",
			middleware.HeadersConfig{CSP: middleware.CSP{FrameAncestors: []string{"'none'"}}},
			"X-Frame-Options", "DENY",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := headersOf(mustHeaders(t, tt.cfg), overTLS("app.example"))[tt.header]; !slices.Equal(got, []string{tt.want}) {
				t.Errorf("%s: %q, want %q", tt.header, got, tt.want)
			}
		})
	}
}

func TestNewHeadersReportsEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	_, err := middleware.NewHeaders(middleware.HeadersConfig{
		HSTS:           -time.Second,
		ReferrerPolicy: "same_origin",
		OpenerPolicy:   "unsafe-none",
		ResourcePolicy: "Same-Origin",
		EmbedderPolicy: "unsafe-none",
		Permissions:    map[string][]string{"camara": nil, "camera": {"'self'"}},
		CSP:            middleware.CSP{Default: []string{"self"}, ReportTo: "http://reports.example"},
		ReportOnly:     &middleware.CSP{Script: []string{"*"}, UpgradeInsecureRequests: true},
	})
	wantErrors(t, err,
		"middleware: HeadersConfig.HSTS: -1s is negative: write 0 for two years",
		`middleware: HeadersConfig.ReferrerPolicy: "same_origin" is none of same-origin, no-referrer, `+
			`strict-origin, strict-origin-when-cross-origin`,
		`middleware: HeadersConfig.OpenerPolicy: "unsafe-none" is none of`,
		`middleware: HeadersConfig.ResourcePolicy: "Same-Origin" is none of`,
		`middleware: HeadersConfig.EmbedderPolicy: "unsafe-none" is none of require-corp, credentialless`,
		`middleware: HeadersConfig.Permissions: "camara" is not a known feature`,
		`middleware: HeadersConfig.Permissions: camera: "'self'" is neither self (without quotes) nor an origin`,
		`middleware: HeadersConfig.CSP.Default: "self": it is a keyword: write 'self' with its single quotes`,
		`middleware: HeadersConfig.CSP.ReportTo: "http://reports.example" is neither an https URL nor a path`,
		`middleware: HeadersConfig.ReportOnly.Script: "*": it is every host`,
		"middleware: HeadersConfig.ReportOnly.ReportTo: required",
		"middleware: HeadersConfig.ReportOnly.UpgradeInsecureRequests: it has no effect",
	)
}

// RFC 6797, ASVS 3.4.1, and the requirements of https://hstspreload.org.
func TestNewHeadersRefusesWeakHSTS(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	for want, cfg := range map[string]middleware.HeadersConfig{
		"is less than a year":              {HSTS: year - time.Second},
		"is not in whole seconds":          {HSTS: year + time.Millisecond},
		"the lists want a year or more":    {HSTS: time.Hour, HSTSPreload: true, DangerouslyShortHSTS: true},
		"the lists want the subdomains":    {HSTSPreload: true, HSTSThisHostOnly: true},
		"DangerouslyShortHSTS: HSTS is 17": {DangerouslyShortHSTS: true},
	} {
		_, err := middleware.NewHeaders(cfg)
		wantErrors(t, err, "middleware: HeadersConfig.", want)
	}
}

func wantErrors(t testing.TB, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("accepted; want %q", want)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error does not say %q:\n%v", w, err)
		}
	}
}
