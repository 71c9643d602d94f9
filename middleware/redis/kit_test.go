package redis_test

import (
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/redis"
	"github.com/securews/securews/middleware/storetest"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/session"
)

var (
	_ session.Swapper    = (*redis.Sessions)(nil)
	_ session.ManyFinder = (*redis.Sessions)(nil)
	_ session.Announcer  = (*redis.Sessions)(nil)
)

// kits runs the kits of package storetest on nodes that share a server.
func kits(t *testing.T, open func(testing.TB) *redis.Shared) {
	t.Run("sessions", func(t *testing.T) {
		storetest.SessionStore(t, func(t testing.TB) scs.Store { return open(t).Sessions() })
	})
	t.Run("sign-outs", func(t *testing.T) {
		storetest.SignOuts(t, 50, func(t testing.TB) scs.Store { return open(t).Sessions() })
	})
	t.Run("tickets", func(t *testing.T) {
		storetest.Tickets(t, func(t testing.TB) ticket.Store { return open(t).Tickets() })
	})
	t.Run("limiter", func(t *testing.T) {
		storetest.Limiter(t, func(t testing.TB) middleware.Limiter {
			l, err := open(t).Limiter(redis.Limit{Name: "test", Events: 5, Per: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			return l
		})
	})
	t.Run("revocations", func(t *testing.T) {
		storetest.Revocations(t, func(t testing.TB) middleware.Revocations {
			m, err := session.New(session.Config{Store: open(t).Sessions(), StoreTimeout: 10 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			return m.Revocations()
		})
	})
}

func TestKitsOnOneServer(t *testing.T) {
	t.Parallel()
	s := commonServer(t)
	kits(t, func(t testing.TB) *redis.Shared { return node(t, s.Addr) })
}

func TestKitsOnACluster(t *testing.T) {
	t.Parallel()
	addrs := startCluster(t).addrs
	kits(t, func(t testing.TB) *redis.Shared {
		return nodeWith(t, redis.Config{Options: &goredis.UniversalOptions{Addrs: addrs}})
	})
}
