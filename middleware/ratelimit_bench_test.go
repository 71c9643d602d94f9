package middleware_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/securews/securews/middleware"
)

// BenchmarkRateLimit stands beside x/time/rate alone, the limit, in one run.
func BenchmarkRateLimit(b *testing.B) {
	b.Run("limit", func(b *testing.B) {
		l := rate.NewLimiter(1e9, 1e9)
		b.ReportAllocs()
		for b.Loop() {
			l.Allow()
		}
	})
	for _, bm := range []struct {
		name string
		cfg  middleware.RateLimitConfig
		r    *http.Request
	}{
		{"key", middleware.RateLimitConfig{Events: 1e9, Key: byUser}, requestWith("GET", "/", "X-User", "ann")},
		{"IPv4", middleware.RateLimitConfig{Events: 1e9}, requestFrom("192.0.2.1:1234")},
		{"IPv6", middleware.RateLimitConfig{Events: 1e9}, requestFrom("[2001:db8::1]:1234")},
		{"refused", middleware.RateLimitConfig{Events: 1, Per: time.Hour}, requestFrom("192.0.2.1:1234")},
	} {
		b.Run(bm.name, func(b *testing.B) {
			l := mustRateLimit(b, bm.cfg)
			b.ReportAllocs()
			for b.Loop() {
				_ = l.Allow(bm.r)
			}
		})
	}
	b.Run("full table", func(b *testing.B) {
		l := mustRateLimit(b, middleware.RateLimitConfig{Events: 1, Per: time.Hour, MaxKeys: 4096, Key: byUser})
		r, as := userRequests()
		users := make([]string, 1<<16)
		for i := range users {
			users[i] = strconv.Itoa(i)
			as(users[i])
			_ = l.Allow(r)
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			as(users[i%len(users)])
			_ = l.Allow(r)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		l := mustRateLimit(b, middleware.RateLimitConfig{Events: 1e9, Key: byUser})
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			r := requestWith("GET", "/", "X-User", "ann")
			for pb.Next() {
				_ = l.Allow(r)
			}
		})
	})
}

// A decision does not allocate.
func TestRateLimitAllocations(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  middleware.RateLimitConfig
		r    *http.Request
		most float64
	}{
		{"a key", middleware.RateLimitConfig{Events: 1e9, Key: byUser}, requestWith("GET", "/", "X-User", "ann"), 0},
		{"IPv4", middleware.RateLimitConfig{Events: 1e9}, requestFrom("192.0.2.1:1234"), 0},
		{"IPv6", middleware.RateLimitConfig{Events: 1e9}, requestFrom("[2001:db8::1]:1234"), 0},
		{"refused", middleware.RateLimitConfig{Events: 1, Per: time.Minute}, requestFrom("192.0.2.1:1234"), 0},
	} {
		l := mustRateLimit(t, tt.cfg)
		if got := testing.AllocsPerRun(200, func() { _ = l.Allow(tt.r) }); got > tt.most {
			t.Errorf("%s: %v allocations, want at most %v", tt.name, got, tt.most)
		}
	}
}
