package middleware_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/securews/securews/middleware"
)

var discard = slog.New(slog.DiscardHandler)

// routes is a router of net/http with files behind it. The module internal/interop has the
// same with chi.
func routes() http.Handler {
	files := http.FileServerFS(fstest.MapFS{"a.txt": {Data: []byte("hello"), ModTime: time.Unix(1e9, 0)}})
	ok := func(http.ResponseWriter, *http.Request) {}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /only-post", ok)
	mux.HandleFunc("/dynamic", ok)
	mux.Handle("/files/a.txt", http.StripPrefix("/files", files))
	mux.Handle("/files/missing", http.StripPrefix("/files", files))
	mux.HandleFunc("/says", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		http.NotFound(w, r)
	})
	return mux
}

// RFC 9110 §15.1 lets a cache keep a 404 and a 405 that say nothing. RFC 9111 §5.2.2.5.
func TestErrorsOfOthersAreNotStored(t *testing.T) {
	t.Parallel()
	page := mustHeaders(t, middleware.HeadersConfig{CSP: middleware.CSP{Default: []string{"'self'"}}}).Handler
	strict := new(middleware.Headers).Handler
	chains := map[string]func(http.Handler) http.Handler{
		"AccessLog": middleware.AccessLog(discard),
		"Recover":   middleware.Recover(discard),
		"NewServer": func(h http.Handler) http.Handler { return middleware.NewServer("", h).Handler },
		"the usual layers": func(h http.Handler) http.Handler {
			return middleware.Chain(h, middleware.AccessLog(discard), middleware.Recover(discard), page)
		},
		"the preset": func(h http.Handler) http.Handler { return middleware.Chain(h, middleware.Recover(discard), strict) },
	}
	h := routes()
	for chain, layers := range chains {
		for _, tt := range []struct {
			name   string
			r      *http.Request
			status int
			want   string
		}{
			{"no route", requestWith("GET", "/nothing"), 404, "no-store"},
			{"another method", requestWith("GET", "/only-post"), 405, "no-store"},
			{"no file", requestWith("GET", "/files/missing"), 404, "no-store"},
			{"a range outside the file", requestWith("GET", "/files/a.txt", "Range", "bytes=9-"), 416, "no-store"},
			{"a handler that says otherwise", requestWith("GET", "/says"), 404, "public, max-age=60"},
		} {
			rec := httptest.NewRecorder()
			layers(h).ServeHTTP(rec, tt.r)
			if got := rec.Result().Header["Cache-Control"]; rec.Code != tt.status || !slices.Equal(got, []string{tt.want}) {
				t.Errorf("%s, %s: %d %q, want %d %q", chain, tt.name, rec.Code, got, tt.status, tt.want)
			}
		}
		rec := httptest.NewRecorder()
		layers(h).ServeHTTP(rec, requestWith("GET", "/files/a.txt"))
		if got := rec.Header().Get("Cache-Control"); rec.Code != 200 || chain != "the preset" && got != "" {
			t.Errorf("%s, a file: %d %q", chain, rec.Code, got)
		}
	}
}

// Without an outer layer that sees the status, Headers keeps the errors of an API and of a page
// whose policy differs from request to request out of caches, and a range outside a file.
func TestErrorsOfOthersAreNotStoredByHeadersAlone(t *testing.T) {
	t.Parallel()
	ofHost := mustHeaders(t, middleware.HeadersConfig{CSP: middleware.CSP{Default: []string{"'self'"}}})
	h := routes()
	for policy, headers := range map[string]*middleware.Headers{"strict": {}, "of a page": ofHost} {
		for _, r := range []*http.Request{
			requestWith("GET", "/nothing"), requestWith("GET", "/only-post"), requestWith("GET", "/files/a.txt", "Range", "bytes=9-"),
		} {
			if got := headersAround(headers, h, r); got.Get("Cache-Control") != "no-store" {
				t.Errorf("%s, %s: %q", policy, r.URL.Path, got["Cache-Control"])
			}
		}
	}
}

func headersAround(h *middleware.Headers, next http.Handler, r *http.Request) http.Header {
	rec := httptest.NewRecorder()
	h.Handler(next).ServeHTTP(rec, r)
	return rec.Result().Header
}

// CSP3 §7.1: a nonce is for one answer, so the page is never kept, unless the handler insists.
func TestCacheControlOfPolicies(t *testing.T) {
	t.Parallel()
	self := []string{"'self'"}
	report := &middleware.CSP{Nonce: true, ReportTo: "/csp"}
	for _, tt := range []struct {
		name   string
		cfg    middleware.HeadersConfig
		before string
		after  string
		want   string
	}{
		{name: "a nonce", cfg: middleware.HeadersConfig{CSP: middleware.CSP{Nonce: true}}, want: "no-store"},
		{
			name: "a nonce of the trial", cfg: middleware.HeadersConfig{CSP: middleware.CSP{Default: self}, ReportOnly: report},
			want: "no-store",
		},
		{
			name: "a nonce, and an outer layer", cfg: middleware.HeadersConfig{CSP: middleware.CSP{Nonce: true}},
			before: "public, max-age=60", want: "no-store",
		},
		{
			name: "a nonce, and the handler", cfg: middleware.HeadersConfig{CSP: middleware.CSP{Nonce: true}},
			after: "private", want: "private",
		},
		{name: "an API", want: "no-store"},
		{name: "an API, and an outer layer", before: "private", want: "private"},
		{name: "an API, and the handler", after: "public, max-age=60", want: "public, max-age=60"},
		{name: "a page without a nonce", cfg: middleware.HeadersConfig{CSP: middleware.CSP{Default: self}}, want: ""},
		{
			name: "omitted", cfg: middleware.HeadersConfig{CSP: middleware.CSP{Nonce: true}, DangerouslyOmit: []string{"Cache-Control"}},
			want: "",
		},
		{name: "without a policy", cfg: middleware.HeadersConfig{DangerouslyOmit: []string{"Content-Security-Policy"}}, want: ""},
	} {
		rec := httptest.NewRecorder()
		if tt.before != "" {
			rec.Header().Set("Cache-Control", tt.before)
		}
		mustHeaders(t, tt.cfg).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if tt.after != "" {
				w.Header().Set("Cache-Control", tt.after)
			}
		})).ServeHTTP(rec, overTLS("app.example"))
		if got := strings.Join(rec.Header()["Cache-Control"], "|"); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
