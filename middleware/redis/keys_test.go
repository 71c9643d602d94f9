package redis_test

import (
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/middleware/redis"
)

// A list of the sessions passes over what others keep under the same prefix.
func TestKeysOfOthers(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	shared := node(t, s.Addr)
	client := raw(t, s.Addr)
	for _, err := range []error{
		client.RPush(t.Context(), "securews:session:list", "x").Err(),
		client.XAdd(t.Context(), &goredis.XAddArgs{Stream: "securews:session:log", Values: []string{"a", "b"}}).Err(),
		shared.Sessions().CommitCtx(t.Context(), "one", []byte("record"), time.Now().Add(time.Hour)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	all, err := shared.Sessions().AllCtx(t.Context())
	if err != nil || len(all) != 1 || string(all["one"]) != "record" {
		t.Errorf("%q %v", all, err)
	}
}

// A time that is farther away than a Duration holds is no error.
func TestFarthestExpiry(t *testing.T) {
	t.Parallel()
	store := node(t, commonServer(t).Addr).Sessions()
	for _, expires := range []time.Time{time.Unix(0, math.MaxInt64), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)} {
		for name, b := range map[string][]byte{"a record": []byte("record"), "an end": marked(1)} {
			if err := store.CommitCtx(t.Context(), t.Name(), b, expires); err != nil {
				t.Errorf("%s until %v: %v", name, expires, err)
			}
			if _, err := store.Swap(t.Context(), t.Name(), b, b, expires); err != nil {
				t.Errorf("%s until %v: Swap: %v", name, expires, err)
			}
		}
	}
}

// An address with a password, which errors of the network would name, is refused without it.
func TestAddressWithAPassword(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"redis://:s3cret@localhost:6379", "user:s3cret@localhost:6379"} {
		_, err := redis.New(redis.Config{Options: &goredis.UniversalOptions{Addrs: slices.Repeat([]string{addr}, 2)}})
		if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "Options.Addrs[1]") {
			t.Errorf("%v", err)
		}
	}
}

// The methods without a context return, although the server accepts connections and never answers.
func TestMethodsWithoutAContext(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	store := nodeWith(t, redis.Config{Options: &goredis.UniversalOptions{
		Addrs: []string{silent.Addr().String()}, ReadTimeout: -1, // none
	}}).Sessions()
	for name, call := range map[string]func() error{
		"Find":   func() error { _, _, err := store.Find("key"); return err },
		"Commit": func() error { return store.Commit("key", []byte("record"), time.Now().Add(time.Hour)) },
		"Delete": func() error { return store.Delete("key") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := make(chan error, 1)
			go func() { result <- call() }()
			select {
			case err := <-result:
				if err == nil {
					t.Error("no error without an answer")
				}
			case <-time.After(patience):
				t.Error("it does not return")
			}
		})
	}
}
