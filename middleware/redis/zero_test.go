package redis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/redis"
)

// The zero values refuse: every call fails, names the constructor, and connects to no server.
func TestZeroValuesRefuse(t *testing.T) {
	limit := redis.Limit{Name: "login", Events: 5}
	later := time.Now().Add(time.Hour)
	for name, shared := range map[string]*redis.Shared{"nil": nil, "the zero Shared": {}} {
		stores := map[string]*redis.Sessions{"its sessions": shared.Sessions(), "the zero Sessions": {}, "nil Sessions": nil}
		for store, x := range stores {
			_, _, find := x.Find("key")
			_, many := x.FindMany(t.Context(), "key")
			_, all := x.AllCtx(t.Context())
			_, swap := x.Swap(t.Context(), "key", nil, []byte("b"), later)
			x.Follow(func(middleware.Revocation) {})()
			for call, err := range map[string]error{
				"Find": find, "FindMany": many, "AllCtx": all, "Swap": swap,
				"Commit": x.Commit("key", []byte("b"), later), "Delete": x.Delete("key"),
				"Announce": x.Announce(t.Context(), middleware.Revocation{}),
			} {
				wantZero(t, name+": "+store+": "+call, err)
			}
		}
		limiter, err := shared.Limiter(limit)
		if err != nil {
			t.Fatal(err)
		}
		_, allow := limiter.Allow(t.Context(), "key")
		_, consume := shared.Tickets().Consume(t.Context(), "key")
		for call, err := range map[string]error{
			"Limiter": allow, "Consume": consume, "Put": shared.Tickets().Put(t.Context(), "key", nil, time.Minute),
			"Client": shared.Client().Ping(t.Context()).Err(), "Ready": shared.Ready(t.Context()),
		} {
			wantZero(t, name+": "+call, err)
		}
		if err := shared.Close(); err != nil {
			t.Errorf("%s: Close: %v", name, err)
		}
		_ = shared.LogState()
	}
}

func wantZero(t *testing.T, call string, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "redis: the zero Shared: make one with New") {
		t.Errorf("%s: %v, want the error of the zero Shared", call, err)
	}
}
