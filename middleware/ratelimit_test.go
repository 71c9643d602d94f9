package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
)

func mustRateLimit(t testing.TB, cfg middleware.RateLimitConfig) *middleware.RateLimit {
	t.Helper()
	l, err := middleware.NewRateLimit(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func byUser(r *http.Request) string { return r.Header.Get("X-User") }

func requestFrom(addr string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = addr
	return r
}

// allowed counts how many of n requests are let through.
func allowed(l *middleware.RateLimit, n int, r *http.Request) int {
	ok := 0
	for range n {
		if l.Allow(r) == nil {
			ok++
		}
	}
	return ok
}

// A token bucket in fake time: the burst at once, then the rate, and never more
// than the burst after a pause (ASVS 2.4.1).
func TestRateLimitIsATokenBucket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := mustRateLimit(t, middleware.RateLimitConfig{Events: 10, Per: time.Minute, Burst: 3, Key: byUser})
		ann, bob := requestWith("GET", "/", "X-User", "ann"), requestWith("GET", "/", "X-User", "bob")
		if got := allowed(l, 10, ann); got != 3 {
			t.Errorf("burst of %d", got)
		}
		if got := allowed(l, 10, bob); got != 3 {
			t.Errorf("another key's share: %d", got)
		}
		time.Sleep(6*time.Second - time.Millisecond)
		if got := allowed(l, 1, ann); got != 0 {
			t.Error("let through too early")
		}
		time.Sleep(time.Millisecond)
		if got := allowed(l, 5, ann); got != 1 {
			t.Errorf("%d after 6 s, want 1", got)
		}
		time.Sleep(time.Hour)
		if got := allowed(l, 10, ann); got != 3 {
			t.Errorf("%d after an hour, want the burst", got)
		}
	})
}

func TestRateLimitDefaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := mustRateLimit(t, middleware.RateLimitConfig{Events: 4})
		r := requestFrom("192.0.2.1:1234")
		if got := allowed(l, 10, r); got != 4 {
			t.Errorf("burst of %d, want Events", got)
		}
		time.Sleep(time.Second)
		if got := allowed(l, 10, r); got != 4 {
			t.Errorf("%d a second, want Events", got)
		}
	})
}

// RFC 6585 §4: 429; RFC 9110 §10.2.3: whole seconds, and a client that waits them
// is let through.
func TestRateLimitRefusal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		per        time.Duration
		retryAfter string
		wait       time.Duration
	}{
		{time.Millisecond, "1", time.Second},
		{time.Second, "1", time.Second},
		{1500 * time.Millisecond, "2", 2 * time.Second},
		{time.Hour, "3600", time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := mustRateLimit(t, middleware.RateLimitConfig{Events: 1, Per: tt.per})
			h := l.Handler(http.NotFoundHandler())
			if status, _ := answer(t, h, requestWith("GET", "/")); status != 404 {
				t.Fatalf("first: %d", status)
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, requestWith("GET", "/"))
			if got := rec.Result().Header.Get("Retry-After"); rec.Code != 429 || got != tt.retryAfter {
				t.Errorf("per %v: %d, Retry-After %q, want %q", tt.per, rec.Code, got, tt.retryAfter)
			}
			if want := `{"type":"about:blank","title":"Too Many Requests","status":429,"reason":"rate_limited"}`; rec.Body.String() !=
				want {
				t.Errorf("%s", rec.Body)
			}
			time.Sleep(tt.wait)
			if status, _ := answer(t, h, requestWith("GET", "/")); status != 404 {
				t.Errorf("per %v: refused after the wait: %d", tt.per, status)
			}
		})
	}
}

func TestRateLimitZeroValueRefuses(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]*middleware.RateLimit{"zero": {}, "nil": nil} {
		rec := httptest.NewRecorder()
		l.Handler(http.NotFoundHandler()).ServeHTTP(rec, requestWith("GET", "/"))
		if rec.Code != 429 || rec.Result().Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d", name, rec.Code)
		}
	}
}

// The default key distinguishes IPv4 by address, IPv6 by /64.
func TestRateLimitByAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, a, b string
		same       bool
	}{
		{"one address, two ports", "192.0.2.1:1", "192.0.2.1:2", true},
		{"two addresses", "192.0.2.1:1", "192.0.2.2:1", false},
		{"one /64", "[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::2]:1", true},
		{"two /64s", "[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", false},
		{"IPv4 in IPv6 notation", "192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		{"IPv4 neighbours in IPv6 notation", "[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1", false},
		{"one link-local network, two zones", "[fe80::1%eth0]:1", "[fe80::1%eth1]:1", true},
		{"unreadable addresses share", "@", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := mustRateLimit(t, middleware.RateLimitConfig{Events: 1, Per: time.Hour})
			if allowed(l, 1, requestFrom(tt.a)) != 1 {
				t.Fatal("the first is refused")
			}
			if same := allowed(l, 1, requestFrom(tt.b)) == 0; same != tt.same {
				t.Errorf("%s and %s share: %v", tt.a, tt.b, same)
			}
		})
	}
}

// X-Forwarded-For counts if a trusted proxy wrote it (ASVS 15.3.4).
func TestRateLimitBehindProxies(t *testing.T) {
	t.Parallel()
	proxies, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"10.0.0.0/8"}})
	if err != nil {
		t.Fatal(err)
	}
	from := func(peer, client string) *http.Request {
		r := requestFrom(peer + ":1")
		r.Header.Set("X-Forwarded-For", client)
		return r
	}
	for name, build := range map[string]func(http.Handler) http.Handler{
		"named": mustRateLimit(t, middleware.RateLimitConfig{Events: 1, Per: time.Hour, Proxies: proxies}).Handler,
		"around": func(next http.Handler) http.Handler {
			return middleware.Chain(next, proxies.Handler, mustRateLimit(t, middleware.RateLimitConfig{Events: 1, Per: time.Hour}).Handler)
		},
	} {
		h := build(http.NotFoundHandler())
		for _, tt := range []struct {
			what, peer, client string
			status             int
		}{
			{"a client", "10.0.0.1", "192.0.2.1", 404},
			{"another client of the proxy", "10.0.0.1", "192.0.2.2", 404},
			{"the first by another proxy", "10.0.0.2", "192.0.2.1", 429},
			{"a client that is not a proxy", "198.51.100.1", "192.0.2.3", 404},
			{"the same client with another header", "198.51.100.1", "192.0.2.4", 429},
		} {
			if status, _ := answer(t, h, from(tt.peer, tt.client)); status != tt.status {
				t.Errorf("%s: %s: %d, want %d", name, tt.what, status, tt.status)
			}
		}
	}
}

// sharedLimiter stands for a limit that several nodes share.
type sharedLimiter struct {
	wait time.Duration
	err  error
	keys []string
}

func (s *sharedLimiter) Allow(_ context.Context, key string) (time.Duration, error) {
	s.keys = append(s.keys, key)
	return s.wait, s.err
}

// A limiter that cannot decide refuses (ASVS 16.5.3): 503, and the client may try again.
func TestRateLimitWithALimiter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		limiter    sharedLimiter
		status     int
		reason     string
		retryAfter string
	}{
		{name: "room", limiter: sharedLimiter{}, status: 404},
		{name: "no room", limiter: sharedLimiter{wait: 1001 * time.Millisecond}, status: 429, reason: "rate_limited", retryAfter: "2"},
		{
			name:    "a wait below zero, as Redis has it for a key that is gone",
			limiter: sharedLimiter{wait: -2 * time.Millisecond}, status: 429, reason: "rate_limited", retryAfter: "1",
		},
		{
			name: "no answer", limiter: sharedLimiter{err: errors.New("redis: dial tcp: refused")},
			status: 503, reason: "unavailable", retryAfter: "1",
		},
		{
			name: "an error counts more than a wait", limiter: sharedLimiter{wait: time.Hour, err: errors.New("x")},
			status: 503, reason: "unavailable", retryAfter: "1",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := mustRateLimit(t, middleware.RateLimitConfig{Limiter: &tt.limiter, Key: byUser}).Handler(http.NotFoundHandler())
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, requestWith("GET", "/", "X-User", "ann"))
			if got := rec.Result().Header.Get("Retry-After"); rec.Code != tt.status || got != tt.retryAfter {
				t.Errorf("%d, Retry-After %q", rec.Code, got)
			}
			if tt.reason != "" && !strings.Contains(rec.Body.String(), `"reason":"`+tt.reason+`"`) ||
				strings.Contains(rec.Body.String(), "redis") {
				t.Error(rec.Body)
			}
			if len(tt.limiter.keys) != 1 || tt.limiter.keys[0] != "ann" {
				t.Errorf("asked for %q", tt.limiter.keys)
			}
		})
	}
}

func TestNewRateLimitReportsEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	_, err := middleware.NewRateLimit(middleware.RateLimitConfig{
		Events: -1,
		Per:    -time.Second, Burst: -2, MaxKeys: -3, Key: byUser, Proxies: new(middleware.Proxies),
	})
	wantErrors(t, err,
		"middleware: RateLimitConfig.Events: -1 is negative", "middleware: RateLimitConfig.Per: -1s is negative",
		"middleware: RateLimitConfig.Burst: -2 is negative", "middleware: RateLimitConfig.MaxKeys: -3 is negative: write 0 for 65536",
		"middleware: RateLimitConfig.Proxies: it has no effect beside a Key")
	_, err = middleware.NewRateLimit(middleware.RateLimitConfig{})
	wantErrors(t, err, "middleware: RateLimitConfig.Events: required")
	_, err = middleware.NewRateLimit(middleware.RateLimitConfig{Limiter: &sharedLimiter{}, Events: 1})
	wantErrors(t, err, "middleware: RateLimitConfig.Limiter: it has limits of its own")
}

// One /48 has 65,536 networks of /64. It gets sixteen shares, and newcomers of other networks and
// known clients keep theirs.
func TestRateLimitOfOneSite(t *testing.T) {
	t.Parallel()
	l := mustRateLimit(t, middleware.RateLimitConfig{Events: 5, Per: time.Hour})
	known := requestFrom("[2001:db8:1:1::1]:1")
	if allowed(l, 1, known) != 1 {
		t.Fatal("the known client is refused")
	}
	site := 0
	for network := range 1 << 16 {
		site += allowed(l, 3, requestFrom(fmt.Sprintf("[2001:db8:bad:%x::1]:1", network)))
	}
	if site != 16*5 {
		t.Errorf("%d requests of the /48 are admitted, want 80", site)
	}
	newcomers := 0
	for n := range 100 {
		newcomers += allowed(l, 1, requestFrom(fmt.Sprintf("[2001:db8:%x::1]:1", 0x100+n)))
		newcomers += allowed(l, 1, requestFrom(fmt.Sprintf("198.51.100.%d:1", n)))
	}
	if newcomers != 200 || allowed(l, 9, known) != 4 {
		t.Errorf("%d of 200 newcomers are admitted", newcomers)
	}
}

// A client that is refused uses up nothing of its /48.
func TestRateLimitOfANeighbour(t *testing.T) {
	t.Parallel()
	l := mustRateLimit(t, middleware.RateLimitConfig{Events: 5, Per: time.Hour})
	if n := allowed(l, 1000, requestFrom("[2001:db8:1:1::1]:1")); n != 5 {
		t.Errorf("%d of one /64 are admitted, want 5", n)
	}
	if n := allowed(l, 1000, requestFrom("[2001:db8:1:2::1]:1")); n != 5 {
		t.Errorf("%d of its neighbour are admitted, want 5", n)
	}
}
