package redis_test

import (
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/middleware/redis"
)

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	at := []string{"127.0.0.1:1"}
	for _, tt := range []struct {
		name string
		cfg  redis.Config
		want []string
	}{
		{"the zero value", redis.Config{}, []string{"Options is nil"}},
		{"no address", redis.Config{Options: &goredis.UniversalOptions{}}, []string{"Options.Addrs is empty"}},
		{
			"an address that is a URL, whose password is not shown",
			redis.Config{Options: &goredis.UniversalOptions{Addrs: []string{at[0], "rediss://app:secret@redis.internal:6379/0"}}},
			[]string{"Options.Addrs[1]: not host:port: leave out the scheme", "Options.Username, Options.Password and Options.TLSConfig"},
		},
		{
			"reads from replicas, and a prefix for a hash tag, at once",
			redis.Config{
				Options: &goredis.UniversalOptions{Addrs: at, ReadOnly: true, RouteByLatency: true, RouteRandomly: true},
				Prefix:  "{app}",
			},
			[]string{"Options.ReadOnly", "Options.RouteByLatency", "Options.RouteRandomly", `Prefix: "{app}"`},
		},
		{
			"a prefix with a pattern",
			redis.Config{Options: &goredis.UniversalOptions{Addrs: at}, Prefix: "app*"},
			[]string{`Prefix: "app*"`},
		},
		{"a long prefix", redis.Config{Options: &goredis.UniversalOptions{Addrs: at}, Prefix: strings.Repeat("p", 65)}, []string{"Prefix"}},
	} {
		s, err := redis.New(tt.cfg)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", tt.name, err, want)
			}
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", tt.name, err)
		}
		if s != nil {
			t.Errorf("%s: a Shared", tt.name)
		}
	}
}

func TestLimitErrors(t *testing.T) {
	t.Parallel()
	shared := node(t, "127.0.0.1:1")
	for _, tt := range []struct {
		name  string
		limit redis.Limit
		want  []string
	}{
		{"the zero value", redis.Limit{}, []string{"Limit.Name", "Limit.Events: 0"}},
		{
			"negative values, at once",
			redis.Limit{Name: "x", Events: -1, Per: -1, Burst: -1},
			[]string{"Limit.Events: -1", "Limit.Per", "Limit.Burst"},
		},
		{"a name with a space", redis.Limit{Name: "a b", Events: 1}, []string{`Limit.Name: "a b"`}},
		{"more than a million a second", redis.Limit{Name: "x", Events: 2_000_000}, []string{"more than a million a second"}},
	} {
		l, err := shared.Limiter(tt.limit)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", tt.name, err, want)
			}
		}
		if l != nil {
			t.Errorf("%s: a Limiter", tt.name)
		}
	}
}

// A bucket of Burst events, which one of Events in each Per refills; every name has one of its own.
func TestLimit(t *testing.T) {
	t.Parallel()
	s := commonServer(t)
	one, other := node(t, s.Addr), node(t, s.Addr)
	limiter := func(shared *redis.Shared, name string) func() time.Duration {
		l, err := shared.Limiter(redis.Limit{Name: name, Events: 1, Per: time.Hour, Burst: 3})
		if err != nil {
			t.Fatal(err)
		}
		return func() time.Duration {
			wait, err := l.Allow(t.Context(), "key of "+t.Name())
			if err != nil {
				t.Fatal(err)
			}
			return wait
		}
	}
	a, b, c := limiter(one, "logins"), limiter(other, "logins"), limiter(other, "others")
	for i, allow := range []func() time.Duration{a, b, a} {
		if wait := allow(); wait != 0 {
			t.Errorf("event %d waits for %v", i, wait)
		}
	}
	for _, allow := range []func() time.Duration{a, b} {
		if wait := allow(); wait > time.Hour || wait < 59*time.Minute {
			t.Errorf("the fourth event waits for %v", wait)
		}
	}
	if wait := c(); wait != 0 {
		t.Errorf("an event of another limit waits for %v", wait)
	}
}

// The clock of the server was set back by a day: the key is not locked out for a day.
func TestLimitAfterAClockWasSetBack(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	shared := node(t, s.Addr)
	l, err := shared.Limiter(redis.Limit{Name: "x", Events: 10, Per: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Allow(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	client := raw(t, s.Addr)
	keys := client.Keys(t.Context(), "*limit*").Val()
	if len(keys) != 1 {
		t.Fatal(keys)
	}
	ahead := time.Now().Add(24 * time.Hour).UnixMicro()
	if err := client.Set(t.Context(), keys[0], ahead, time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	if wait, err := l.Allow(t.Context(), "k"); err != nil || wait > 2*time.Minute {
		t.Errorf("waits for %v, %v", wait, err)
	}
}
