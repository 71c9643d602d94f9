package middleware_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// tooManyFields is a request that NewServer refuses with 431 (RFC 6585 §5).
func tooManyFields(header ...string) *http.Request {
	r := overTLS("app.example")
	for i := range 101 {
		r.Header.Set(fmt.Sprintf("X-%d", i), "1")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// ASVS 3.4.1: on every answer, those of the server included.
func TestServersOwnRefusalHasTheHeadersOfTheSite(t *testing.T) {
	t.Parallel()
	trusting, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"192.0.2.1"}})
	if err != nil {
		t.Fatal(err)
	}
	strict := new(middleware.Headers).Handler
	thisHost := mustHeaders(t, middleware.HeadersConfig{HSTSThisHostOnly: true, ReferrerPolicy: "no-referrer"}).Handler
	router := func(next http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/", next)
		return mux
	}
	for _, tt := range []struct {
		name     string
		layers   []middleware.Middleware
		r        *http.Request
		hsts     []string
		referrer string
	}{
		{
			name: "Headers outside", layers: []middleware.Middleware{strict},
			r: tooManyFields(), hsts: []string{hsts}, referrer: "same-origin",
		},
		{
			name:     "Headers behind AccessLog, Recover and Proxies",
			layers:   []middleware.Middleware{trusting.Handler, middleware.AccessLog(discard), middleware.Recover(discard), thisHost},
			r:        tooManyFields(),
			hsts:     []string{"max-age=63072000"},
			referrer: "no-referrer",
		},
		{
			name:     "a client in plaintext",
			layers:   []middleware.Middleware{trusting.Handler, strict},
			r:        tooManyFields("X-Forwarded-Proto", "http"),
			referrer: "same-origin",
		},
		{name: "without a Headers, the site has not asked for HSTS", r: tooManyFields(), referrer: "same-origin"},
		{
			name: "a Headers inside a router is not seen", layers: []middleware.Middleware{router, thisHost},
			r: tooManyFields(), referrer: "same-origin",
		},
	} {
		served := false
		end := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true })
		rec := httptest.NewRecorder()
		middleware.NewServer("", middleware.Chain(end, tt.layers...)).Handler.ServeHTTP(rec, tt.r)
		got := rec.Result().Header
		if rec.Code != 431 || served {
			t.Errorf("%s: %d, served: %v", tt.name, rec.Code, served)
		}
		if v := got["Strict-Transport-Security"]; !slices.Equal(v, tt.hsts) {
			t.Errorf("%s: Strict-Transport-Security %q, want %q", tt.name, v, tt.hsts)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": strictPreset["Content-Security-Policy"],
			"X-Frame-Options":         "DENY", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": tt.referrer, "Cache-Control": "no-store", "Content-Type": "application/problem+json; charset=utf-8",
		} {
			if v := got[name]; !slices.Equal(v, []string{want}) {
				t.Errorf("%s: %s %q, want %q", tt.name, name, v, want)
			}
		}
	}
}

// ASVS 16.3.3: once, where the site logs, with the client that its Proxies found.
func TestServersOwnRefusalIsLoggedByTheSite(t *testing.T) {
	t.Parallel()
	trusting, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"192.0.2.1"}})
	if err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	log := middleware.AccessLog(slog.New(slog.NewTextHandler(&lines, nil)))
	h := middleware.NewServer("", middleware.Chain(http.NotFoundHandler(), trusting.Handler, log, new(middleware.Headers).Handler)).Handler
	h.ServeHTTP(httptest.NewRecorder(), tooManyFields("X-Forwarded-For", "198.51.100.7"))
	s := lines.String()
	if strings.Count(s, "\n") != 1 || !strings.Contains(s, "reason=header_too_large") || !strings.Contains(s, "client=198.51.100.7") {
		t.Errorf("logged:\n%s", s)
	}
}
