package redis_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/internal/testissuer"
	"github.com/securews/securews/middleware/redis"
	"github.com/securews/securews/session"
)

// raw is a client of the test's own.
func raw(t testing.TB, addrs ...string) goredis.UniversalClient {
	t.Helper()
	c := goredis.NewUniversalClient(&goredis.UniversalOptions{Addrs: addrs})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// A backup is restored, in which a session has not ended yet (ASVS 7.4.1). No request gets in with
// it, not even in the moment before the nodes have noticed.
func TestBackupRevivesNoSession(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, x *installation) {
		k := testissuer.New(t)
		a, b := startNode(t, settings{Addrs: x.addrs, Keys: k.KeySet()}), startNode(t, settings{Addrs: x.addrs, Keys: k.KeySet()})
		token := bearerOf(k, "machine")
		byLogout, everywhere, good := a.login("ann"), a.login("bob"), a.login("cas")
		for _, node := range []*process{a, b} {
			for _, c := range []credential{byLogout, everywhere, good, token} {
				if got := node.me(c); got != "200" {
					t.Fatal(got)
				}
			}
		}
		for _, addr := range x.addrs {
			if err := raw(t, addr).Save(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		}
		a.act("/logout", byLogout)
		a.act("/everywhere?user=bob", credential{})
		a.act("/revoke?user=machine", credential{})
		x.kill()
		x.start()
		ended := func(round []string) bool {
			const loggedOut, revoked = "401 no_credential", "401 credential_revoked"
			return slices.Equal(round, []string{loggedOut, loggedOut, revoked}) || slices.Equal(round, []string{revoked, revoked, revoked})
		}
		settled := false
		for began := time.Now(); !settled || time.Since(began) < 3*time.Second; {
			settled = true
			for _, node := range []*process{a, b} {
				var round []string
				for _, c := range []credential{byLogout, everywhere, token} {
					round = append(round, node.me(c))
				}
				if slices.Contains(round, "200") {
					t.Fatalf("an ended credential is good after %v", time.Since(began))
				}
				settled = settled && ended(round)
				if late := time.Since(began); !settled && late > time.Minute {
					t.Fatalf("after %v: %q", late, round)
				}
			}
		}
		if got := a.me(good); got != "200" {
			t.Errorf("a session that was not ended: %s", got)
		}
		a.open(a.login("bob"))
	})
}

// A full server evicts the mark of a sign-out, or a shard of a Cluster has lost it, and the log is
// whole. It is stored again within seconds.
func TestEvictedEndIsStoredAgain(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, x *installation) {
		var log logged
		shared := nodeWith(t, redis.Config{Options: &goredis.UniversalOptions{Addrs: x.addrs}, Log: textLog(&log)})
		m, err := session.New(session.Config{Store: shared.Sessions()})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.LogoutEverywhere(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
		client := raw(t, x.addrs...)
		mark := onlyKey(t, shared)
		before, err := client.Get(t.Context(), mark).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Del(t.Context(), mark).Err(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the mark is stored again", func() bool {
			now, err := client.Get(t.Context(), mark).Bytes()
			return err == nil && string(now) == string(before)
		})
		if left := client.PTTL(t.Context(), mark).Val(); left < 29*24*time.Hour {
			t.Errorf("it is kept for %v", left)
		}
		eventually(t, "the loss is logged", func() bool { return strings.Contains(log.String(), "stored again") })
	})
}

// onlyKey returns the one key of the store.
func onlyKey(t testing.TB, shared *redis.Shared) string {
	t.Helper()
	all, err := shared.Sessions().AllCtx(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatal(len(all), err)
	}
	for key := range all {
		return "securews:session:" + key
	}
	return ""
}

// A node with an older end of a key than the log has does not bring it back, in whatever order
// the nodes store ends again after a loss.
func TestNewestEndWins(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	cut := startProxy(t, s.Addr)
	behind, ahead := node(t, cut.addr()), node(t, s.Addr)
	first, second := marked(1), marked(2)
	key := strings.Repeat("k", 43)
	if err := behind.Sessions().CommitCtx(t.Context(), key, first, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both hear", func() bool { return behind.Ready(t.Context()) == nil && ahead.Ready(t.Context()) == nil })
	cut.sever()
	if err := ahead.Sessions().CommitCtx(t.Context(), key, second, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	s.restart()
	eventually(t, "the node that has read all stores its end again", func() bool {
		b, _, err := ahead.Sessions().FindCtx(t.Context(), key)
		return err == nil && string(b) == string(second)
	})
	cut.heal()
	eventually(t, "the other node is there again", func() bool { return behind.Ready(t.Context()) == nil })
	for _, shared := range []*redis.Shared{behind, ahead} {
		if b, _, err := shared.Sessions().FindCtx(t.Context(), key); err != nil || string(b) != string(second) {
			t.Errorf("%q %v, want %q", b, err, second)
		}
	}
}

// marked is the value of an end, in the form of package session.
func marked(n byte) []byte {
	return append([]byte("wsr\x01E"), strings.Repeat(string(rune('a'+n)), 16)...)
}

// A server that evicts is reported, with the setting.
func TestEvictionIsReported(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	var log logged
	nodeWith(t, redis.Config{Options: &goredis.UniversalOptions{Addrs: []string{s.Addr}}, Log: textLog(&log)}).Sessions()
	eventually(t, "a warning", func() bool { return strings.Contains(log.String(), "maxmemory-policy=allkeys-lru") })
}

// Each command takes 800 ms, and a new connection several of them: the node hears nevertheless.
func TestSlowServer(t *testing.T) {
	t.Parallel()
	between := startProxy(t, commonServer(t).Addr)
	between.delay = 800 * time.Millisecond
	shared := node(t, between.addr())
	shared.Sessions()
	eventually(t, "entries of the log arrive", func() bool { return !shared.LogState().Interrupted })
}

// A node that the server refuses is not ready, and names the settings.
func TestNotReadyWithoutThePassword(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	if err := raw(t, s.Addr).ConfigSet(t.Context(), "requirepass", "the-password").Err(); err != nil {
		t.Fatal(err)
	}
	err := node(t, s.Addr).Ready(t.Context())
	if err == nil || !strings.Contains(err.Error(), "refuses this node, see Options.Username and Options.Password: NOAUTH") {
		t.Error(err)
	}
}

// The node is not ready without a server, and says why; requests are refused within their time.
func TestNotReadyWithoutAServer(t *testing.T) {
	t.Parallel()
	needsRedis(t)
	shared := node(t, fmt.Sprintf("127.0.0.1:%d", freePort(t)))
	shared.Sessions()
	if err := shared.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Error(err)
	}
	m, err := session.New(session.Config{Store: shared.Sessions()})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://app.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", "__Host-session="+strings.Repeat("A", 43))
	eventually(t, "the refusal says why", func() bool {
		_, err := m.Authenticate(r)
		return err != nil && strings.Contains(err.Error(), "unavailable") && strings.Contains(err.Error(), "connection refused")
	})
	if h := shared.LogState(); !h.Interrupted {
		t.Errorf("%+v", h)
	}
}

// A user who signs in and out in a loop has no node forget the sign-out everywhere of another, which
// a backup is about to undo.
func TestLoopOfLogoutsUndoesNoSignOut(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	shared := node(t, s.Addr)
	m, err := session.New(session.Config{Store: shared.Sessions(), StoreTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "entries of the log arrive", func() bool { return shared.Ready(t.Context()) == nil })
	client := raw(t, s.Addr)
	if err := client.Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := m.LogoutEverywhere(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	mark := onlyKey(t, shared)
	var loops sync.WaitGroup
	for i := range 8 {
		loops.Go(func() {
			for j := range 520 { // a logout has the ends of a tombstone and of a record
				if err := shared.Sessions().DeleteCtx(t.Context(), fmt.Sprint("session", i, " ", j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	loops.Wait()
	s.Kill()
	s.start()
	eventually(t, "the sign-out holds again", func() bool { return client.Exists(t.Context(), mark).Val() == 1 })
}
