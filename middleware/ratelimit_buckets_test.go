package middleware_test

import (
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
)

// userRequests returns a request whose key can be set without allocating anew.
func userRequests() (r *http.Request, as func(user string)) {
	r = requestWith("GET", "/")
	value := []string{""}
	r.Header["X-User"] = value
	return r, func(user string) { value[0] = user }
}

// At the bound, a known key keeps a share of its own, new keys share one bucket,
// and a bucket that is full again makes room (ASVS 13.1.2).
func TestRateLimitAtTheBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := mustRateLimit(t, middleware.RateLimitConfig{Events: 2, Per: 2 * time.Second, MaxKeys: 4, Key: byUser})
		r, as := userRequests()
		for i := range 4 {
			as("known" + strconv.Itoa(i))
			if allowed(l, 1, r) != 1 {
				t.Fatal("refused below the bound")
			}
		}
		through := 0
		for i := range 1000 {
			as("flood" + strconv.Itoa(i))
			through += allowed(l, 1, r)
		}
		if through != 2 {
			t.Errorf("%d of 1000 new keys got through, want the one burst they share", through)
		}
		for i := range 4 {
			as("known" + strconv.Itoa(i))
			if got := allowed(l, 2, r); got != 1 {
				t.Errorf("a known key got %d, want the 1 it has left", got)
			}
		}
		time.Sleep(2 * time.Second)
		for i := range 4 {
			as("new" + strconv.Itoa(i))
			if got := allowed(l, 3, r); got != 2 {
				t.Errorf("a new key got %d after the others had filled up, want a burst of its own", got)
			}
		}
	})
}

// A key has its burst and its rate, and does not gain by a flood of other keys.
func TestRateLimitForgettingGainsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := mustRateLimit(t, middleware.RateLimitConfig{Events: 1, Per: time.Second, Burst: 5, MaxKeys: 8, Key: byUser})
		r, as := userRequests()
		got := 0
		for i := range 600 { // a minute in steps of 100 ms
			as("eve")
			got += allowed(l, 3, r)
			for j := range 20 {
				as(strconv.Itoa(i*20 + j))
				allowed(l, 1, r)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if got > 5+60 {
			t.Errorf("%d in a minute, want at most 65", got)
		}
	})
}

func TestRateLimitEmptyKeyIsOneBucket(t *testing.T) {
	t.Parallel()
	l := mustRateLimit(t, middleware.RateLimitConfig{Events: 3, Per: time.Hour, Key: byUser})
	if got := allowed(l, 10, requestWith("GET", "/")); got != 3 {
		t.Errorf("%d", got)
	}
	if got := allowed(l, 1, requestWith("GET", "/", "X-User", "ann")); got != 1 {
		t.Error("a key shares with the empty one")
	}
}

// Long keys are told apart by all of their bytes.
func TestRateLimitLongKeys(t *testing.T) {
	t.Parallel()
	l := mustRateLimit(t, middleware.RateLimitConfig{Events: 1, Per: time.Hour, Key: byUser})
	long := strings.Repeat("x", 8000)
	for user, want := range map[string]int{long + "a": 1, long + "b": 1, long: 1} {
		if got := allowed(l, 2, requestWith("GET", "/", "X-User", user)); got != want {
			t.Errorf("%d", got)
		}
	}
}

// A million keys, and long ones, from all sides: memory stays within the bound.
// It measures the heap, and so runs alone.
func TestRateLimitMemoryIsBounded(t *testing.T) {
	const maxKeys = 65_536
	keys := 1_000_000
	if testing.Short() {
		keys /= 5
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	l := mustRateLimit(t, middleware.RateLimitConfig{Events: 1, Per: time.Hour, Key: byUser})
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			r, as := userRequests()
			tail := strings.Repeat("x", 48*(worker%2))
			for i := worker; i < keys; i += 4 {
				as(strconv.Itoa(i) + tail)
				allowed(l, 1, r)
			}
		})
	}
	wg.Wait()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(l)
	grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d keys: %d KiB, %d bytes for each of MaxKeys", keys, grown>>10, grown/maxKeys)
	if grown > 300*maxKeys {
		t.Errorf("%d bytes", grown)
	}
}

// However many ask at once, a key gets its burst and no more (ASVS 15.4.1).
func TestRateLimitConcurrently(t *testing.T) {
	t.Parallel()
	const burst, keys = 50, 20
	l := mustRateLimit(t, middleware.RateLimitConfig{Events: burst, Per: 1000 * time.Hour, MaxKeys: keys, Key: byUser})
	var through [keys]atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r, as := userRequests()
			for i := range 100 * keys {
				as(strconv.Itoa(i % keys))
				through[i%keys].Add(int64(allowed(l, 1, r)))
			}
		})
	}
	wg.Wait()
	for i := range through {
		if got := through[i].Load(); got != burst {
			t.Errorf("key %d: %d, want %d", i, got, burst)
		}
	}
}
