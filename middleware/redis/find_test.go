package redis_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/redis"
)

// The server has fallen back to an earlier state, and the nodes have not noticed. An end that a node
// remembers holds there at once (ASVS 7.4.1).
func TestRememberedEndsHoldWithoutTheServer(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, x *installation) {
		const record = "\x01record"
		deleted, marked1 := strings.Repeat("d", 43), strings.Repeat("m", 43)
		inAnHour := time.Now().Add(time.Hour)
		a, b := node(t, x.addrs...).Sessions(), node(t, x.addrs...).Sessions()
		if err := a.CommitCtx(t.Context(), deleted, []byte(record), inAnHour); err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.FindCtx(t.Context(), deleted); err != nil { // b reads the log
			t.Fatal(err)
		}
		if err := a.DeleteCtx(t.Context(), deleted); err != nil {
			t.Fatal(err)
		}
		if err := a.CommitCtx(t.Context(), marked1, marked(1), inAnHour); err != nil {
			t.Fatal(err)
		}
		heard := make(chan struct{}, 1)
		defer b.Follow(func(middleware.Revocation) { heard <- struct{}{} })()
		if err := a.Announce(t.Context(), middleware.Revocation{Subject: "ann"}); err != nil {
			t.Fatal(err)
		}
		<-heard
		client := raw(t, x.addrs...)
		if err := client.Set(t.Context(), "securews:session:"+deleted, record, time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
		if err := client.Del(t.Context(), "securews:session:"+marked1).Err(); err != nil {
			t.Fatal(err)
		}
		for name, store := range map[string]*redis.Sessions{"the node that ended it": a, "the other": b} {
			values, err := store.FindMany(t.Context(), deleted, marked1)
			if err != nil || values[0] != nil || string(values[1]) != string(marked(1)) {
				t.Errorf("%s finds %q %v, want no session, and the mark", name, values, err)
			}
		}
	})
}

// A sign-out on another node replaces an end that this node remembers.
func TestLaterEndOfAnotherNodeIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, x *installation) {
		key := strings.Repeat("k", 43)
		nodes := []*redis.Sessions{node(t, x.addrs...).Sessions(), node(t, x.addrs...).Sessions()}
		for i := range 100 {
			mark := marked(byte(i % 20))
			if err := nodes[i%2].CommitCtx(t.Context(), key, mark, time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			for n, store := range nodes {
				if b, _, err := store.FindCtx(t.Context(), key); err != nil || string(b) != string(mark) {
					t.Fatalf("sign-out %d, node %d: %q %v, want %q", i, n, b, err, mark)
				}
			}
		}
	})
}

// A store of scs may have a record under a key that was deleted.
func TestRecordAfterADeletion(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, x *installation) {
		key := strings.Repeat("k", 43)
		a, b := node(t, x.addrs...).Sessions(), node(t, x.addrs...).Sessions()
		find := func(store *redis.Sessions) string {
			value, _, err := store.FindCtx(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			return string(value)
		}
		find(b) // reads the log from here on
		for i := range 3 {
			record := fmt.Sprint("\x01record", i)
			if err := a.CommitCtx(t.Context(), key, []byte(record), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if got := find(a); got != record {
				t.Fatalf("the node that wrote it finds %q, want %q", got, record)
			}
			eventually(t, "the other node finds it", func() bool { return find(b) == record })
			if err := a.DeleteCtx(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			if got := find(a) + find(b); got != "" {
				t.Fatalf("after the deletion: %q", got)
			}
		}
	})
}

// The attack: a node whose Manager does not see that the store compares, because a store in between hides
// it, writes a session back that another node has ended (ASVS 7.4.1), and is killed before it asks again.
func TestRecordOfAnEndedSession(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, x *installation) {
		key, record := strings.Repeat("s", 43), []byte("wss\x05record")
		a, b := node(t, x.addrs...).Sessions(), node(t, x.addrs...).Sessions()
		commit := func(store *redis.Sessions) {
			if err := store.CommitCtx(t.Context(), key, record, time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		commit(a)
		if _, found, err := b.FindCtx(t.Context(), key); !found || err != nil {
			t.Fatal(found, err)
		}
		heard := make(chan middleware.Revocation, 10)
		defer b.Follow(func(v middleware.Revocation) { heard <- v })()
		err := errors.Join(a.DeleteCtx(t.Context(), key), a.Announce(t.Context(), middleware.Revocation{SessionHandle: key}))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the other node has heard of the end", func() bool {
			return len(heard) > 0 && (<-heard).SessionHandle == key
		})
		for _, store := range []*redis.Sessions{a, b, a} {
			commit(store)
			for _, reads := range []*redis.Sessions{a, b} {
				if _, found, err := reads.FindCtx(t.Context(), key); found || err != nil {
					t.Errorf("found: %v, %v", found, err)
				}
			}
		}
	})
}
