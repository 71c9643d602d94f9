package interop

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/securews/securews/middleware"
)

// routes is a router of chi with files behind it. Package middleware tests the same with
// http.ServeMux.
func routes() http.Handler {
	files := http.FileServerFS(fstest.MapFS{"a.txt": {Data: []byte("hello"), ModTime: time.Unix(1e9, 0)}})
	ok := func(http.ResponseWriter, *http.Request) {}
	r := chi.NewRouter()
	r.Post("/only-post", ok)
	r.Handle("/dynamic", http.HandlerFunc(ok))
	r.Handle("/files/a.txt", http.StripPrefix("/files", files))
	r.Handle("/files/missing", http.StripPrefix("/files", files))
	r.Handle("/says", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		http.NotFound(w, r)
	}))
	return r
}

// answer is the response to a GET with header lines as name, value pairs.
func answer(h http.Handler, path string, header ...string) *http.Response {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func pages(t *testing.T) *middleware.Headers {
	t.Helper()
	h, err := middleware.NewHeaders(middleware.HeadersConfig{CSP: middleware.CSP{Default: []string{"'self'"}}})
	must(t, err)
	return h
}

// RFC 9110 §15.1 lets a cache keep a 404 and a 405 without Cache-Control. RFC 9111 §5.2.2.5.
func TestErrorsOfChiAreNotStored(t *testing.T) {
	t.Parallel()
	strict := new(middleware.Headers).Handler
	chains := map[string]func(http.Handler) http.Handler{
		"AccessLog": middleware.AccessLog(quiet),
		"Recover":   middleware.Recover(quiet),
		"NewServer": func(h http.Handler) http.Handler { return middleware.NewServer("", h).Handler },
		"the usual layers": func(h http.Handler) http.Handler {
			return middleware.Chain(h, middleware.AccessLog(quiet), middleware.Recover(quiet), pages(t).Handler)
		},
		"the preset": func(h http.Handler) http.Handler { return middleware.Chain(h, middleware.Recover(quiet), strict) },
	}
	for chain, layers := range chains {
		h := layers(routes())
		for _, tt := range []struct {
			name   string
			path   string
			header []string
			status int
			want   string
		}{
			{name: "no route", path: "/nothing", status: 404, want: "no-store"},
			{name: "another method", path: "/only-post", status: 405, want: "no-store"},
			{name: "no file", path: "/files/missing", status: 404, want: "no-store"},
			{name: "a range outside the file", path: "/files/a.txt", header: []string{"Range", "bytes=9-"}, status: 416, want: "no-store"},
			{name: "a handler with its own Cache-Control", path: "/says", status: 404, want: "public, max-age=60"},
		} {
			res := answer(h, tt.path, tt.header...)
			if got := res.Header["Cache-Control"]; res.StatusCode != tt.status || !slices.Equal(got, []string{tt.want}) {
				t.Errorf("%s, %s: %d %q, want %d %q", chain, tt.name, res.StatusCode, got, tt.status, tt.want)
			}
		}
		res := answer(h, "/files/a.txt")
		if got := res.Header.Get("Cache-Control"); res.StatusCode != 200 || chain != "the preset" && got != "" {
			t.Errorf("%s, a file: %d %q", chain, res.StatusCode, got)
		}
	}
}

// Without an outer layer that sees the status, Headers keeps the errors of an API and of a page
// whose policy differs from request to request out of caches, and a range outside a file.
func TestErrorsOfChiAreNotStoredByHeadersAlone(t *testing.T) {
	t.Parallel()
	for policy, headers := range map[string]*middleware.Headers{"strict": {}, "of a page": pages(t)} {
		for path, header := range map[string][]string{"/nothing": nil, "/only-post": nil, "/files/a.txt": {"Range", "bytes=9-"}} {
			if got := answer(headers.Handler(routes()), path, header...).Header["Cache-Control"]; !slices.Equal(got, []string{"no-store"}) {
				t.Errorf("%s, %s: %q", policy, path, got)
			}
		}
	}
}
