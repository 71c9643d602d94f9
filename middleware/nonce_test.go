package middleware_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// CSP3 §7.1, ASVS 3.4.3: at least 128 bits, fresh for each answer, the same in the
// header and for the page.
func TestNonce(t *testing.T) {
	t.Parallel()
	h := mustHeaders(t, middleware.HeadersConfig{CSP: middleware.CSP{
		Default: []string{"'self'"}, Script: []string{"'strict-dynamic'"}, Connect: []string{"wss://live.example"}, Nonce: true,
	}})
	inHeader := regexp.MustCompile(`script-src 'strict-dynamic' 'nonce-([A-Za-z0-9_-]+)'; style-src 'self' 'nonce-([A-Za-z0-9_-]+)';`)
	seen := map[string]bool{}
	for range 200 {
		var inPage string
		rec := httptest.NewRecorder()
		h.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			inPage = middleware.Nonce(r.Context())
		})).ServeHTTP(rec, requestWith("GET", "/"))
		m := inHeader.FindStringSubmatch(rec.Header().Get("Content-Security-Policy"))
		if m == nil || m[1] != inPage || m[2] != inPage {
			t.Fatalf("page has %q, header %s", inPage, rec.Header().Get("Content-Security-Policy"))
		}
		raw, err := base64.RawURLEncoding.DecodeString(inPage)
		if err != nil || len(raw) < 16 {
			t.Fatalf("%q: %d bytes, %v", inPage, len(raw), err)
		}
		if seen[inPage] {
			t.Fatalf("%q twice", inPage)
		}
		seen[inPage] = true
	}
}

func TestNonceIsEmptyWithoutOne(t *testing.T) {
	t.Parallel()
	if n := middleware.Nonce(t.Context()); n != "" {
		t.Errorf("outside: %q", n)
	}
	new(middleware.Headers).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if n := middleware.Nonce(r.Context()); n != "" {
			t.Errorf("under a policy without nonce: %q", n)
		}
	})).ServeHTTP(httptest.NewRecorder(), requestWith("GET", "/"))
}

// A style list that says 'none' stays closed, and both policies share the nonce.
func TestNonceWhereItGoes(t *testing.T) {
	t.Parallel()
	got := headersOf(mustHeaders(t, middleware.HeadersConfig{
		CSP:        middleware.CSP{Nonce: true, Style: []string{"'none'"}},
		ReportOnly: &middleware.CSP{Nonce: true, ReportTo: "/csp"},
	}), requestWith("GET", "/"))
	enforced, trial := got.Get("Content-Security-Policy"), got.Get("Content-Security-Policy-Report-Only")
	if !strings.Contains(enforced, "style-src 'none'; ") || strings.Contains(enforced, "sandbox") {
		t.Error(enforced)
	}
	_, rest, _ := strings.Cut(enforced, "'nonce-")
	nonce, _, _ := strings.Cut(rest, "'")
	if nonce == "" || strings.Count(trial, "'nonce-"+nonce+"'") != 2 {
		t.Errorf("%s\n%s", enforced, trial)
	}
}
