package middleware_test

import (
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/securews/securews/middleware"
)

// Pages that run their own scripts and open a socket to their own host.
func ExampleNewHeaders() {
	headers, err := middleware.NewHeaders(middleware.HeadersConfig{CSP: middleware.CSP{
		Default:  []string{"'self'"},
		Connect:  []string{"'self'", "wss://chat.example"},
		Nonce:    true,
		ReportTo: "/csp-reports",
	}})
	if err != nil {
		panic(err)
	}
	page := template.Must(template.New("").Parse(`<script nonce="{{.}}">start()</script>`))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(w, middleware.Nonce(r.Context()))
	})

	rec := httptest.NewRecorder()
	headers.Handler(mux).ServeHTTP(rec, httptest.NewRequest("GET", "https://chat.example/", nil))
	_, rest, _ := strings.Cut(rec.Header().Get("Content-Security-Policy"), "'nonce-")
	nonce, _, _ := strings.Cut(rest, "'")
	fmt.Println(strings.Contains(rec.Body.String(), `nonce="`+nonce+`"`), rec.Header().Get("X-Frame-Options"))
	// Output: true DENY
}

// The strict preset for everything, and a policy for the pages alone.
func ExampleNewHeaders_pages() {
	strict, err := middleware.NewHeaders(middleware.HeadersConfig{})
	if err != nil {
		panic(err)
	}
	pages, err := middleware.NewHeaders(middleware.HeadersConfig{CSP: middleware.CSP{Default: []string{"'self'"}}})
	if err != nil {
		panic(err)
	}
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux := http.NewServeMux()
	mux.Handle("GET /api/me", ok)
	mux.Handle("GET /{$}", pages.Handler(ok))

	for _, path := range []string{"/api/me", "/"} {
		rec := httptest.NewRecorder()
		strict.Handler(mux).ServeHTTP(rec, httptest.NewRequest("GET", "https://chat.example"+path, nil))
		policy, _, _ := strings.Cut(rec.Header().Get("Content-Security-Policy"), "; object-src")
		fmt.Println(path, policy)
	}
	// Output:
	// /api/me default-src 'none'
	// / default-src 'self'; connect-src 'self' wss://chat.example
}
