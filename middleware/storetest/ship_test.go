package storetest_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/storetest"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/session"
)

// limit is the middleware.RateLimit of a key, as a Limiter. It tells whole seconds.
type limit struct{ *middleware.RateLimit }

type keyed struct{}

func (l limit) Allow(ctx context.Context, key string) (time.Duration, error) {
	r := httptest.NewRequestWithContext(context.WithValue(ctx, keyed{}, key), http.MethodGet, "/", nil)
	err := l.RateLimit.Allow(r)
	if f, ok := errors.AsType[*middleware.Refusal](err); ok && f.Status == http.StatusTooManyRequests {
		seconds, err := strconv.Atoi(f.Header.Get("Retry-After"))
		return time.Duration(seconds) * time.Second, err
	}
	return 0, err
}

func newLimit(t testing.TB, cfg middleware.RateLimitConfig) middleware.Limiter {
	t.Helper()
	cfg.Key = func(r *http.Request) string { return r.Context().Value(keyed{}).(string) }
	l, err := middleware.NewRateLimit(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return limit{l}
}

// What this module ships, or names as a store, keeps the contracts. The in-memory store of
// package session is tested there.
func TestShipped(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	defer all.Wait()
	for name, kit := range map[string]func(t *testing.T){
		"scs's memstore": func(t *testing.T) {
			s := memstore.NewWithCleanupInterval(0)
			storetest.SessionStore(t, func(testing.TB) scs.Store { return s })
		},
		"memstore behind a front without faults": func(t *testing.T) {
			s := memstore.NewWithCleanupInterval(0)
			storetest.SessionStore(t, func(testing.TB) scs.Store { return storetest.Faulty(s, storetest.Faults{}) })
		},
		"memstore at a millisecond per call": func(t *testing.T) {
			s := memstore.NewWithCleanupInterval(0)
			storetest.SessionStore(t, func(testing.TB) scs.Store { return storetest.Slow(s, time.Millisecond) })
		},
		"memstore behind keys of 43 characters": func(t *testing.T) {
			s := memstore.NewWithCleanupInterval(0)
			storetest.SessionStore(t, func(t testing.TB) scs.Store { return keysOf43(t, s) })
		},
		"middleware.NewRevocations": func(t *testing.T) {
			list := middleware.NewRevocations()
			storetest.Revocations(t, func(testing.TB) middleware.Revocations { return list })
		},
		"session.NewRevocations, of two nodes on one store": func(t *testing.T) {
			s := memstore.NewWithCleanupInterval(0)
			storetest.Revocations(t, func(t testing.TB) middleware.Revocations { return must(session.NewRevocations(s))(t) })
		},
		"Manager.Revocations, in memory": func(t *testing.T) {
			m := must(session.New(session.Config{}))(t)
			storetest.Revocations(t, func(testing.TB) middleware.Revocations { return m.Revocations() })
		},
		"Manager.Revocations, of two nodes on one store": func(t *testing.T) {
			s := memstore.NewWithCleanupInterval(0)
			storetest.Revocations(t, func(t testing.TB) middleware.Revocations {
				return must(session.New(session.Config{Store: keysOf43(t, s), StoreTimeout: 10 * time.Second}))(t).Revocations()
			})
		},
		"Manager.Revocations, of two nodes on one store, together with Config.Revocations": func(t *testing.T) {
			s, list := memstore.NewWithCleanupInterval(0), middleware.NewRevocations()
			storetest.Revocations(t, func(t testing.TB) middleware.Revocations {
				return must(session.New(session.Config{
					Store:        keysOf43(t, s),
					StoreTimeout: 10 * time.Second, Revocations: list,
				}))(t).Revocations()
			})
		},
		"ticket.MemoryStore": func(t *testing.T) {
			s := must(ticket.NewMemoryStore(0))(t)
			storetest.Tickets(t, func(testing.TB) ticket.Store { return s })
		},
		"the buckets of middleware.RateLimit": func(t *testing.T) {
			l := newLimit(t, middleware.RateLimitConfig{Events: 1, Burst: 5})
			storetest.Limiter(t, func(testing.TB) middleware.Limiter { return l })
		},
		"a middleware.RateLimit on a Limiter": func(t *testing.T) {
			l := newLimit(t, middleware.RateLimitConfig{Limiter: newLimit(t, middleware.RateLimitConfig{Events: 1, Burst: 5})})
			storetest.Limiter(t, func(testing.TB) middleware.Limiter { return l })
		},
	} {
		all.Go(func() { t.Run(name, kit) }) // they wait more than they work
	}
}

// must is for a constructor: must(New(cfg))(t).
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// keysOf43 fails the test if a key has another length than 43, or other characters than
// base64url.
func keysOf43(t testing.TB, s scs.Store) scs.Store {
	return storetest.Faulty(s, storetest.Faults{Before: func(_ context.Context, c storetest.Call) error {
		for _, key := range c.Keys {
			if b, err := base64.RawURLEncoding.Strict().DecodeString(key); len(key) != 43 || err != nil || len(b) != 32 {
				t.Errorf("%s(%q): a key of %d characters: %v", c.Method, key, len(key), err)
				return errors.New("value too long for type character(43)")
			}
		}
		return nil
	}})
}
