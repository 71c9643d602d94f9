package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/securews/securews/middleware"
)

func ExampleNewOriginPolicy() {
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{
		Allow: []string{"https://app.example", "https://*.app.example"},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /messages", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "posted") })

	for _, origin := range []string{"https://app.example", "https://evilapp.example"} {
		r := httptest.NewRequest("POST", "https://app.example/messages", nil)
		r.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		origins.Handler(mux).ServeHTTP(w, r)
		fmt.Println(origin, w.Code)
	}
	// Output:
	// https://app.example 200
	// https://evilapp.example 403
}

func ExampleNewOriginPolicy_errors() {
	_, err := middleware.NewOriginPolicy(middleware.OriginConfig{
		Allow: []string{"app.example", "https://app.example/", "https://*.co.uk"},
	})
	fmt.Println(err)
	// Output:
	// middleware: OriginConfig.Allow: "app.example": the scheme is missing: write "https://app.example"
	// middleware: OriginConfig.Allow: "https://app.example/": an origin has neither path, query nor fragment, and no slash at its end: write "https://app.example"
	// middleware: OriginConfig.Allow: "https://*.co.uk": "co.uk" is a public suffix, under which anyone may own a name: name a domain that is yours alone
}

// The pages that may open a socket may also call the API, with cookies: one list.
func ExampleOriginPolicy_CORS() {
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}})
	if err != nil {
		log.Fatal(err)
	}
	cors, err := origins.CORS(middleware.CORSConfig{
		Methods:     []string{"GET", "POST", "DELETE"},
		Headers:     []string{"Content-Type"},
		Credentials: true,
		MaxAge:      10 * time.Minute,
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("DELETE /messages/{id}", func(http.ResponseWriter, *http.Request) {})
	h := middleware.Chain(mux, cors, origins.Handler) // CORS outside, so that the page can read a refusal

	preflight := httptest.NewRequest("OPTIONS", "https://api.example/messages/1", nil)
	preflight.Header.Set("Origin", "https://app.example")
	preflight.Header.Set("Access-Control-Request-Method", "DELETE")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, preflight)
	fmt.Println(w.Code, w.Header().Get("Access-Control-Allow-Origin"))
	// Output: 204 https://app.example
}

func ExampleNewHostPolicy() {
	hosts, err := middleware.NewHostPolicy("app.example", "*.app.example")
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(http.ResponseWriter, *http.Request) {})

	for _, host := range []string{"app.example", "rebound.evil.example"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		hosts.Handler(mux).ServeHTTP(w, r)
		fmt.Println(host, w.Code)
	}
	// Output:
	// app.example 200
	// rebound.evil.example 421
}

func ExampleNewProxies() {
	proxies, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"10.0.0.0/8"}})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(_ http.ResponseWriter, r *http.Request) { fmt.Println(proxies.ClientIP(r)) })

	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "10.0.0.1:40000"
	r.Header.Set("X-Forwarded-For", "127.0.0.1, 203.0.113.9") // the client wrote 127.0.0.1 itself
	r.Header.Set("X-Forwarded-Proto", "https")
	middleware.Chain(mux, proxies.Handler, middleware.AccessLog(nil), middleware.RequireTLS(proxies)).ServeHTTP(httptest.NewRecorder(), r)
	// Output: 203.0.113.9
}

// Customers serve their pages from domains of their own, and add and remove them at any time.
func ExampleOriginConfig_customers() {
	var customers sync.Map // "https://shop.example" to the customer's host; filled from the database
	customers.Store("https://shop.example", "shop.app.example")

	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{
		Allow: []string{"https://app.example", "https://app-*.preview.example", "capacitor://localhost"},
		AllowFunc: func(_ context.Context, page, host string) bool {
			own, ok := customers.Load(page)
			return ok && own == host
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, page := range []string{
		"https://shop.example", "https://app-fix-7.preview.example",
		"capacitor://localhost", "https://evil.example",
	} {
		r := httptest.NewRequest("POST", "https://shop.app.example/orders", nil)
		r.Header.Set("Origin", page)
		fmt.Println(page, origins.Check(r) == nil)
	}
	// Output:
	// https://shop.example true
	// https://app-fix-7.preview.example true
	// capacitor://localhost true
	// https://evil.example false
}

// A proxy on a Unix socket that changes Host, as Go's ReverseProxy does, and a platform in
// front of it that writes the client's address into a header of its own.
func ExampleNewProxies_platform() {
	proxies, err := middleware.NewProxies(middleware.ProxiesConfig{
		Trusted:       []string{"unix", "10.0.0.0/8"},
		AddressHeader: "CF-Connecting-IP",
		HostHeader:    "X-Forwarded-Host",
	})
	if err != nil {
		log.Fatal(err)
	}
	r := httptest.NewRequest("GET", "http://backend:8080/", nil)
	r.RemoteAddr = "10.0.0.1:40000"
	r.Header.Set("CF-Connecting-IP", "203.0.113.9")
	r.Header.Set("X-Forwarded-Host", "app.example")
	fmt.Println(proxies.ClientIP(r), proxies.Host(r))

	var refusal *middleware.Refusal
	errors.As(proxies.CheckTLS(r), &refusal)
	fmt.Println(refusal.Err)
	// Output:
	// 203.0.113.9 app.example
	// middleware: Proxies: the request came without TLS: 10.0.0.1 is the peer, which ProxiesConfig.Trusted names, and sends no X-Forwarded-Proto: let the proxy set it (nginx: proxy_set_header X-Forwarded-Proto $scheme), or name its own header in ProxiesConfig.SchemeHeader
}
