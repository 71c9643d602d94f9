//go:build !race

// The race detector keeps memory of its own.

package session_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"testing"

	"github.com/alexedwards/scs/v2/memstore"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// heap returns the bytes in use.
func heap() int64 {
	var m runtime.MemStats
	for range 2 { // pools and finalizers keep memory over the first collection
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// renewals returns a function that renews the session of b n times, at little cost for the client.
func renewals(t *testing.T, m *session.Manager, b *browser) func(n int) {
	t.Helper()
	h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := m.LogoutOthers(r.Context()); err != nil {
			t.Error(err)
		}
	}))
	r := httptest.NewRequest(http.MethodPost, "https://app.example/others", nil)
	w := discard{http.Header{}}
	return func(n int) {
		for range n {
			r.Header.Set("Cookie", hostCookie+"="+b.cookies[hostCookie])
			clear(w.h)
			h.ServeHTTP(w, r)
			cookie, err := http.ParseSetCookie(w.h.Get("Set-Cookie"))
			if err != nil || cookie.Value == b.cookies[hostCookie] {
				t.Fatalf("no new cookie: %v", err)
			}
			b.cookies[hostCookie] = cookie.Value
		}
	}
}

// A user who renews a session in a loop holds the memory of one session: its record, and the
// marks of the user. With SECUREWS_ALL=1 the first loop has a million rounds. It measures the
// heap, and so runs alone.
func TestRenewalsInALoopHoldNoMemory(t *testing.T) {
	million := os.Getenv("SECUREWS_ALL") == "1"
	for _, tt := range []struct {
		name    string
		cfg     func() session.Config
		entries func(session.Config) int
	}{
		{"the default store", func() session.Config { return session.Config{Store: session.NewMemory()} }, func(cfg session.Config) int {
			return session.Entries(cfg.Store)
		}},
		{"with revocations in memory", func() session.Config {
			return session.Config{Store: session.NewMemory(), Revocations: middleware.NewRevocations()}
		}, func(cfg session.Config) int { return session.Entries(cfg.Store) }},
		{"a store that does not compare", func() session.Config {
			return session.Config{Store: memstore.NewWithCleanupInterval(0)}
		}, func(cfg session.Config) int { all, _ := cfg.Store.(*memstore.MemStore).All(); return len(all) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rounds := 20_000
			if million {
				rounds, million = 1_000_000, false
			}
			cfg := tt.cfg()
			m := newManager(t, cfg)
			b := newBrowser(t, app(t, m))
			b.get("/login?u=alice")
			renew := renewals(t, m, b)
			renew(2000)
			before := heap()
			renew(rounds)
			grown := heap() - before
			b.wants("/me", 200, "alice")
			if n := tt.entries(cfg); n > 2 { // the record, and the mark O
				t.Errorf("%d entries in the store", n)
			}
			if most := int64(64 << 10); grown > most {
				t.Errorf("the heap grew by %d bytes in %d renewals, want at most %d", grown, rounds, most)
			}
			t.Logf("%d renewals: the heap grew by %d bytes", rounds, grown)
			runtime.KeepAlive(m)
		})
	}
}
