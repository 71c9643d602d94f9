package chirouter_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/securews/securews/middleware"
)

func ok(http.ResponseWriter, *http.Request) {}

func answer(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// The strict preset for everything, and a policy for the pages alone.
func Example_headers() {
	strict := must(middleware.NewHeaders(middleware.HeadersConfig{}))
	pages := must(middleware.NewHeaders(middleware.HeadersConfig{CSP: middleware.CSP{Default: []string{"'self'"}}}))
	r := chi.NewRouter()
	r.Use(strict.Handler)
	r.Get("/api/me", ok)
	r.With(pages.Handler).Get("/", ok)

	for _, path := range []string{"/api/me", "/"} {
		w := answer(r, httptest.NewRequest("GET", "https://chat.example"+path, nil))
		policy, _, _ := strings.Cut(w.Header().Get("Content-Security-Policy"), "; object-src")
		fmt.Println(path, policy)
	}
	// Output:
	// /api/me default-src 'none'
	// / default-src 'self'; connect-src 'self' wss://chat.example
}

// A route for principals with a scope.
func Example_scope() {
	auth := must(middleware.NewAuth(middleware.Anonymous()))
	r := chi.NewRouter()
	r.With(auth.Handler, middleware.RequireScope("rooms")).Get("/rooms", http.NotFound)

	w := answer(r, httptest.NewRequest("GET", "/rooms", nil))
	fmt.Println(w.Code, w.Body)
	// Output: 403 {"type":"about:blank","title":"Forbidden","status":403,"reason":"insufficient_scope"}
}

// The pages that may open a socket may also call the API, with cookies: one list.
func Example_cors() {
	origins := must(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}}))
	cors := must(origins.CORS(middleware.CORSConfig{
		Methods:     []string{"GET", "POST", "DELETE"},
		Headers:     []string{"Content-Type"},
		Credentials: true,
		MaxAge:      10 * time.Minute,
	}))
	r := chi.NewRouter()
	r.Use(cors, origins.Handler) // CORS outside, so that the page can read a refusal
	r.Delete("/messages/{id}", ok)

	preflight := httptest.NewRequest("OPTIONS", "https://api.example/messages/1", nil)
	preflight.Header.Set("Origin", "https://app.example")
	preflight.Header.Set("Access-Control-Request-Method", "DELETE")
	w := answer(r, preflight)
	fmt.Println(w.Code, w.Header().Get("Access-Control-Allow-Origin"))
	// Output: 204 https://app.example
}

// The hosts of the service, and no others.
func Example_hosts() {
	hosts := must(middleware.NewHostPolicy("app.example", "*.app.example"))
	r := chi.NewRouter()
	r.Use(hosts.Handler)
	r.Get("/", ok)

	for _, host := range []string{"app.example", "rebound.evil.example"} {
		req := httptest.NewRequest("GET", "/", nil)
		req.Host = host
		fmt.Println(host, answer(r, req).Code)
	}
	// Output:
	// app.example 200
	// rebound.evil.example 421
}

// A rate limit by user, behind Auth, which has recognized the credential.
func Example_rateLimit() {
	auth := must(middleware.NewAuth(middleware.Anonymous()))
	limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{
		Events: 1, Per: time.Minute,
		Key: func(r *http.Request) string {
			p, _ := middleware.FromContext(r.Context())
			return p.Issuer + " " + p.Subject
		},
	}))
	r := chi.NewRouter()
	r.With(auth.Handler, limit.Handler).Post("/ticket", ok)

	for range 2 {
		w := answer(r, httptest.NewRequest("POST", "/ticket", nil))
		fmt.Printf("%d %q\n", w.Code, w.Header().Get("Content-Type"))
	}
	// Output:
	// 200 ""
	// 429 "application/problem+json; charset=utf-8"
}
