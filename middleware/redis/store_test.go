package redis_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/redis"
	"github.com/securews/securews/session"
)

// Two nodes end the sessions, or the tokens, of one user at once. The server and the log agree which end is
// the later one: no request waits for it.
func TestTwoNodesEndAtOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, x *installation) {
		nodes := []*redis.Shared{node(t, x.addrs...), node(t, x.addrs...)}
		var managers []*session.Manager
		for _, n := range nodes {
			m, err := session.New(session.Config{Store: n.Sessions(), StoreTimeout: 10 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			managers = append(managers, m)
			eventually(t, "the node is ready", func() bool { return n.Ready(t.Context()) == nil })
		}
		for i := range 60 {
			var all sync.WaitGroup
			for _, m := range managers {
				all.Go(func() {
					if err := m.LogoutEverywhere(t.Context(), fmt.Sprint("user", i)); err != nil {
						t.Error(err)
					}
				})
				all.Go(func() {
					v := middleware.Revocation{Issuer: "https://id.example", Subject: fmt.Sprint("user", i)}
					if err := m.Revocations().Revoke(t.Context(), v); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
		for i, n := range nodes {
			all, err := n.Sessions().AllCtx(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for key := range all {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				if _, _, err := n.Sessions().FindCtx(ctx, key); err != nil {
					t.Errorf("node %d: %v", i, err)
				}
				cancel()
			}
		}
	})
}

// The server has lost an end that the node remembers. A comparison with it succeeds, since reads return it.
func TestComparisonWithALostEnd(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, x *installation) {
		store := node(t, x.addrs...).Sessions()
		key := strings.Repeat("k", 43)
		inAnHour := time.Now().Add(time.Hour)
		if err := store.CommitCtx(t.Context(), key, marked(1), inAnHour); err != nil {
			t.Fatal(err)
		}
		if err := raw(t, x.addrs...).Del(t.Context(), "securews:session:"+key).Err(); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			name string
			old  []byte
			want bool
		}{
			{"with another end", marked(3), false},
			{"with the lost one", marked(1), true},
			{"with the lost one, which was replaced", marked(1), false},
			{"with its successor", marked(2), true},
		} {
			swapped, err := store.Swap(t.Context(), key, tt.old, marked(2), inAnHour)
			if err != nil || swapped != tt.want {
				t.Errorf("a comparison %s: %t %v, want %t", tt.name, swapped, err, tt.want)
			}
		}
	})
}

// The later of two ends is lost, and the first attempts to store it again fail, as on a server without
// memory. A further one succeeds.
func TestRepairThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	store := node(t, s.Addr).Sessions()
	key := strings.Repeat("k", 43)
	for _, mark := range [][]byte{marked(1), marked(2)} {
		if err := store.CommitCtx(t.Context(), key, mark, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	client := raw(t, s.Addr)
	refused := func() bool {
		log, err := client.Do(t.Context(), "ACL", "LOG").Slice() // of refused commands
		return err == nil && len(log) > 0
	}
	s.allow("-eval")
	if err := client.Set(t.Context(), "securews:session:"+key, marked(1), time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(2 * patience); !refused(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the node does not try to store the end again")
		}
	}
	s.allow("+eval")
	findsAgain(t, store, key, marked(2))
}
