package redis_test

import (
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/redis"
	"github.com/securews/securews/session"
)

// The log refuses an entry, so that a revocation fails. The second attempt, which succeeds, outlives
// a loss of the server.
func TestSecondAttemptIsRemembered(t *testing.T) {
	t.Parallel()
	at := time.Now().Add(-time.Minute)
	for name, tt := range map[string]struct {
		v middleware.Revocation
		p middleware.Principal
	}{
		"a token": {middleware.Revocation{TokenHandle: "t", Expires: time.Now().Add(time.Hour)}, middleware.Principal{TokenHandle: "t"}},
		"a subject": {
			middleware.Revocation{Subject: "ann", Before: at, Expires: at.AddDate(0, 3, 0)},
			middleware.Principal{Subject: "ann", IssuedAt: at.Add(-time.Hour)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, x *installation) {
				shared := node(t, x.addrs...)
				list, err := session.NewRevocations(shared.Sessions())
				if err != nil {
					t.Fatal(err)
				}
				eventually(t, "the node hears", func() bool { return shared.Ready(t.Context()) == nil })
				x.allow("-xadd")
				if err := list.Revoke(t.Context(), tt.v); err == nil {
					t.Fatal("Revoke succeeds without the log")
				}
				x.allow("+xadd")
				eventually(t, "the second attempt succeeds", func() bool { return list.Revoke(t.Context(), tt.v) == nil })
				x.restart()
				eventually(t, "it is revoked still", func() bool {
					revoked, err := list.Revoked(t.Context(), tt.p)
					return err == nil && revoked
				})
			})
		})
	}
}

// A shard of a Cluster fails over to a replica that has an earlier end of a key, and the log, on
// another shard, is whole. So is it if the key of a single server was restored by hand. The earlier end
// is never found: until the later one is stored again, reads fail. The log need not reach back.
func TestServerThatFallsBack(t *testing.T) {
	t.Parallel()
	onEach(t, fallsBack)
}

func fallsBack(t *testing.T, x *installation) {
	shared := node(t, x.addrs...)
	store := shared.Sessions()
	eventually(t, "the node is ready", func() bool { return shared.Ready(t.Context()) == nil })
	key := strings.Repeat("k", 43)
	for _, mark := range [][]byte{marked(1), marked(2)} {
		if err := store.CommitCtx(t.Context(), key, mark, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	heard := make(chan struct{}, 4)
	defer store.Follow(func(middleware.Revocation) { heard <- struct{}{} })()
	for range 4 {
		if err := store.Announce(t.Context(), middleware.Revocation{Subject: "ann"}); err != nil {
			t.Fatal(err)
		}
		<-heard
	}
	client := raw(t, x.addrs...)
	if err := client.XTrimMaxLen(t.Context(), "securews:log", 3).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Set(t.Context(), "securews:session:"+key, marked(1), time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	findsAgain(t, store, key, marked(2))
}

// findsAgain waits until the store has an end under the key. Until then reads fail.
func findsAgain(t *testing.T, store *redis.Sessions, key string, want []byte) {
	t.Helper()
	for deadline := time.Now().Add(2 * patience); ; time.Sleep(100 * time.Millisecond) {
		switch b, _, err := store.FindCtx(t.Context(), key); {
		case err == nil && string(b) == string(want):
			return
		case err == nil, !strings.Contains(err.Error(), "different ends"), time.Now().After(deadline):
			t.Fatalf("%q %v, want %q", b, err, want)
		}
	}
}

// The reply to a comparison is lost with its connection. The result is not known, and the command is not
// sent again: the second would compare with the bytes of the first, and deny that anything was written
// (see session.Swapper).
func TestLostReply(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, x *installation) {
		between := x.proxied()
		dial := settings{Via: between.via}.dial
		store := nodeWith(t, redis.Config{Options: &goredis.UniversalOptions{Addrs: x.addrs, Dialer: dial}}).Sessions()
		client := raw(t, x.addrs...)
		for key, value := range map[string][]byte{"record": []byte("wss"), "end": marked(1)} {
			swap := func(old []byte) (bool, error) {
				return store.Swap(t.Context(), key, old, value, time.Now().Add(time.Hour))
			}
			if swapped, err := swap([]byte("other")); swapped || err != nil { // the server knows the script then
				t.Fatal(swapped, err)
			}
			between.each(func(p *proxy) { p.loseReplyTo("session:" + key) })
			swapped, err := swap(nil)
			if b := client.Get(t.Context(), "securews:session:"+key).Val(); b != string(value) {
				t.Fatalf("%s: the server has %q", key, b)
			}
			if err == nil {
				t.Errorf("%s: the server has it, and Swap returns %v without an error", key, swapped)
			}
		}
	})
}
