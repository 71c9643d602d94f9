package redis_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/session"
)

// stored returns the bytes that MEMORY USAGE has for each kind of key.
func stored(t testing.TB, c goredis.UniversalClient) map[string]int64 {
	t.Helper()
	sizes := map[string]int64{}
	for _, key := range c.Keys(t.Context(), "securews:*").Val() {
		kind := strings.Split(key, ":")[1]
		if value, _ := c.Get(t.Context(), key).Bytes(); kind == "session" && strings.HasPrefix(string(value), "wsr") {
			kind = "end"
		}
		sizes[kind] = max(sizes[kind], c.MemoryUsage(t.Context(), key, 0).Val())
	}
	return sizes
}

var calls = regexp.MustCompile(`cmdstat_(get|set|del|getdel|evalsha|xadd|multi|exec):calls=(\d+)`)

// commands returns how many commands have been called, except those by which a node reads the log.
func commands(t testing.TB, c goredis.UniversalClient) (n int) {
	t.Helper()
	for _, m := range calls.FindAllStringSubmatch(c.Info(t.Context(), "commandstats").Val(), -1) {
		some, _ := strconv.Atoi(m[2])
		n += some
	}
	return n
}

// browser sends requests with a session.
type browser struct {
	m      *session.Manager
	cookie string
}

func (b *browser) request(t testing.TB, fn func(context.Context) error) {
	t.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://app.example/", nil)
	r.Header.Set("Cookie", b.cookie)
	b.m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := fn(r.Context()); err != nil {
			t.Error(err)
		}
	})).ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		b.cookie = c.Name + "=" + c.Value
	}
}

// The figures of docs/nodes.md for sizing are upper bounds.
func TestSizes(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	shared := node(t, s.Addr)
	m, err := session.New(session.Config{Store: shared.Sessions()})
	if err != nil {
		t.Fatal(err)
	}
	c := raw(t, s.Addr)
	ann, zoe := &browser{m: m}, &browser{m: m}
	login := func(ctx context.Context) error {
		return m.Login(ctx, session.Identity{Subject: "ann", Roles: []string{"member"}, Attributes: map[string]string{
			"device": "Firefox on Linux", "address": "192.0.2.1",
		}})
	}
	zoe.request(t, login) // loads the scripts into the server
	zoe.request(t, func(ctx context.Context) error { return m.Logout(ctx) })
	for _, row := range []struct {
		what string
		most int // one more than are needed: every 2 s the node writes to the log
		do   func()
	}{
		{"a login", 9 + 1, func() { ann.request(t, login) }},
		{"a request, handshake or recheck", 4 + 1, func() { ann.request(t, func(context.Context) error { return nil }) }},
		{"a logout", 14 + 1, func() { ann.request(t, m.Logout) }},
		{"a sign-out everywhere", 5 + 1, func() {
			if err := m.LogoutEverywhere(t.Context(), "ann"); err != nil {
				t.Error(err)
			}
		}},
		{"a ticket, issued and presented", 2 + 1, func() {
			tickets, key := shared.Tickets(), strings.Repeat("k", 43)
			if err := tickets.Put(t.Context(), key, make([]byte, 300), time.Minute); err != nil {
				t.Error(err)
			}
			if _, err := tickets.Consume(t.Context(), key); err != nil {
				t.Error(err)
			}
		}},
	} {
		before := commands(t, c)
		row.do()
		if n := commands(t, c) - before; n > row.most {
			t.Errorf("%s: %d commands, want at most %d", row.what, n, row.most)
		} else {
			t.Logf("%s: %d commands", row.what, n)
		}
	}

	ann.request(t, login)
	const many = 2000
	for i := range many {
		if err := m.LogoutEverywhere(t.Context(), fmt.Sprint("user", i)); err != nil {
			t.Fatal(err)
		}
	}
	sizes := stored(t, c)
	sizes["log"] /= c.XLen(t.Context(), "securews:log").Val()
	t.Log("bytes:", sizes)
	for kind, most := range map[string]int64{"session": 250, "end": 150, "log": 160} {
		if sizes[kind] == 0 || sizes[kind] > most {
			t.Errorf("%s: %d bytes, want at most %d", kind, sizes[kind], most)
		}
	}
}
