package middleware_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// everything is a configuration that sends every header.
func everything(t testing.TB) *middleware.Headers {
	t.Helper()
	return mustHeaders(t, middleware.HeadersConfig{
		CSP:        middleware.CSP{Default: []string{"'self'"}, Nonce: true, ReportTo: "/csp"},
		ReportOnly: &middleware.CSP{Nonce: true, ReportTo: "/trial"},
		HSTS:       2 * 365 * 24 * 3600e9, HSTSPreload: true,
		ReferrerPolicy: "no-referrer", OpenerPolicy: "noopener-allow-popups",
		ResourcePolicy: "cross-origin", EmbedderPolicy: "credentialless",
		OpenerPolicyReportOnly: "same-origin", EmbedderPolicyReportOnly: "require-corp", IsolationReportTo: "/isolation",
		OriginAgentCluster: true, Permissions: map[string][]string{"camera": {"self"}},
	})
}

// An inner Headers sends the same headers with and without an outer one.
func TestInnerHeadersReplaceAllOfTheOuter(t *testing.T) {
	t.Parallel()
	page := middleware.CSP{Default: []string{"'self'"}, Connect: []string{"'self'", "wss://app.example"}}
	for name, inner := range map[string]*middleware.Headers{
		"the strict preset": new(middleware.Headers),
		"a page":            mustHeaders(t, middleware.HeadersConfig{CSP: page}),
		"almost nothing": mustHeaders(t, middleware.HeadersConfig{DangerouslyOmit: []string{
			"Strict-Transport-Security", "Content-Security-Policy", "X-Frame-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy",
			"Cross-Origin-Resource-Policy", "Permissions-Policy", "Cache-Control",
		}}),
	} {
		for outerName, outer := range map[string]*middleware.Headers{
			"everything":        everything(t),
			"the strict preset": new(middleware.Headers),
		} {
			want := headersOf(inner, overTLS("app.example"))
			rec := httptest.NewRecorder()
			middleware.Chain(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if n := middleware.Nonce(r.Context()); n != "" {
					t.Errorf("%s inside %s: the nonce %q of a policy that is not sent", name, outerName, n)
				}
			}), outer.Handler, inner.Handler).ServeHTTP(rec, overTLS("app.example"))
			if got := rec.Header(); !maps.EqualFunc(got, want, slices.Equal) {
				t.Errorf("%s inside %s:\n%v\nwant\n%v", name, outerName, got, want)
			}
		}
	}
}

// CSP3 §7.1: Nonce is that of the policy that is sent.
func TestNonceIsThatOfTheInnermostHeaders(t *testing.T) {
	t.Parallel()
	pages := mustHeaders(t, middleware.HeadersConfig{CSP: middleware.CSP{Nonce: true}})
	outer, inner := "", ""
	read := func(into *string) middleware.Middleware {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				*into = middleware.Nonce(r.Context())
				next.ServeHTTP(w, r)
			})
		}
	}
	rec := httptest.NewRecorder()
	middleware.Chain(http.NotFoundHandler(), everything(t).Handler, read(&outer), pages.Handler, read(&inner)).ServeHTTP(rec,
		overTLS("app.example"))
	policy := rec.Header().Get("Content-Security-Policy")
	if inner == "" || inner == outer || !strings.Contains(policy, "'nonce-"+inner+"'") || strings.Contains(policy, outer) {
		t.Errorf("outer %q, inner %q, sent: %s", outer, inner, policy)
	}
}

// A value of another layer stays: Headers replaces its own fields alone.
func TestHeadersLeaveOtherFieldsAlone(t *testing.T) {
	t.Parallel()
	page := mustHeaders(t, middleware.HeadersConfig{CSP: middleware.CSP{Default: []string{"'self'"}}})
	rec := httptest.NewRecorder()
	rec.Header().Set("Cache-Control", "private, max-age=60")
	rec.Header().Set("Vary", "Cookie")
	rec.Header().Set("X-Other", "1")
	page.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(rec, overTLS("app.example"))
	for name, want := range map[string]string{"Cache-Control": "private, max-age=60", "Vary": "Cookie", "X-Other": "1"} {
		if got := rec.Header()[name]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
