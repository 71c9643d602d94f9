package redis_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/internal/redisserver"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/redis"
	"github.com/securews/securews/session"
)

// startSentinel starts a sentinel that watches a master, and promotes a replica if the master is down.
func startSentinel(t testing.TB, master *server) *server {
	t.Helper()
	host, port, err := net.SplitHostPort(master.Addr)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "sentinel.conf") // it writes to the file
	text := fmt.Sprintf("sentinel monitor main %s %s 1\nsentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n",
		host, port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := redisserver.NewSentinel(t.Context(), config)
	return started(t, s, err)
}

// A master dies and its replica is promoted, behind a sentinel. Sign-outs hold, and those of later
// arrive.
func TestFailover(t *testing.T) {
	t.Parallel()
	master := startServer(t)
	replica := startReplica(t, master)
	sentinel := startSentinel(t, master)
	client := raw(t, sentinel.Addr)
	eventually(t, "the sentinel knows the replica", func() bool {
		n, err := client.Do(t.Context(), "SENTINEL", "REPLICAS", "main").Slice()
		return err == nil && len(n) == 1
	})
	open := func() (*redis.Shared, *session.Manager) {
		shared := nodeWith(t, redis.Config{Options: &goredis.UniversalOptions{Addrs: []string{sentinel.Addr}, MasterName: "main"}})
		m, err := session.New(session.Config{Store: shared.Sessions()})
		if err != nil {
			t.Fatal(err)
		}
		return shared, m
	}
	shared, one := open()
	other, two := open()
	heard := make(chan string, 10)
	defer two.Follow(func(v middleware.Revocation) { heard <- v.Subject })()
	eventually(t, "both hear", func() bool { return shared.Ready(t.Context()) == nil && other.Ready(t.Context()) == nil })
	signOut := func(subject string) {
		t.Helper()
		eventually(t, "a sign-out of "+subject, func() bool { return one.LogoutEverywhere(t.Context(), subject) == nil })
		for deadline := time.After(patience); ; {
			select {
			case got := <-heard:
				if got == subject {
					return
				}
			case <-deadline:
				t.Fatalf("the sign-out of %s does not arrive", subject)
			}
		}
	}
	signOut("ann")
	eventually(t, "the replica has the mark", func() bool {
		return raw(t, replica.Addr).DBSize(t.Context()).Val() >= 2 // and the log
	})
	master.Kill()
	signOut("bob")
	eventually(t, "the first node reads the log again", func() bool { return shared.Ready(t.Context()) == nil })
	all, err := shared.Sessions().AllCtx(t.Context())
	if err != nil || len(all) != 2 {
		t.Errorf("%d marks, %v; want those of ann and bob", len(all), err)
	}
}
