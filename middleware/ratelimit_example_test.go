package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/securews/securews/middleware"
)

// Ten handshakes a minute from one address, three at once.
func ExampleNewRateLimit() {
	limit, err := middleware.NewRateLimit(middleware.RateLimitConfig{Events: 10, Per: time.Minute, Burst: 3})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /ws", limit.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))

	for range 4 {
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequest("GET", "/ws", nil))
		fmt.Printf("%d %q\n", rec.Code, rec.Header().Get("Retry-After"))
	}
	// Output:
	// 200 ""
	// 200 ""
	// 200 ""
	// 429 "6"
}

// By user, behind Auth, which has recognized the credential.
func ExampleNewRateLimit_user() {
	auth, err := middleware.NewAuth(middleware.Anonymous())
	if err != nil {
		panic(err)
	}
	limit, err := middleware.NewRateLimit(middleware.RateLimitConfig{
		Events: 1, Per: time.Minute,
		Key: func(r *http.Request) string {
			p, _ := middleware.FromContext(r.Context())
			return p.Issuer + " " + p.Subject
		},
	})
	if err != nil {
		panic(err)
	}
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux := http.NewServeMux()
	mux.Handle("POST /ticket", middleware.Chain(ok, auth.Handler, limit.Handler))

	for range 2 {
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequest("POST", "/ticket", nil))
		fmt.Printf("%d %q\n", rec.Code, rec.Header().Get("Content-Type"))
	}
	// Output:
	// 200 ""
	// 429 "application/problem+json; charset=utf-8"
}
