package redis_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/redis"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/session"
)

// page returns docs/nodes.md.
func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/nodes.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block returns the first block of code in a language.
func block(t *testing.T, language string) string {
	t.Helper()
	_, text, ok := strings.Cut(page(t), "\n```"+language+"\n")
	if !ok {
		t.Fatalf("docs/nodes.md has no block in %s", language)
	}
	text, _, _ = strings.Cut(text, "```\n")
	return text
}

func checked[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// wire is the code of the page.
func wire(mux *http.ServeMux, origins *middleware.OriginPolicy) (*redis.Shared, *ticket.Tickets, *middleware.RateLimit) {
	shared := checked(redis.New(redis.Config{Options: &goredis.UniversalOptions{
		Addrs:     []string{"redis.internal:6379"}, // several: a Cluster; with MasterName: sentinels
		Username:  "app",
		Password:  os.Getenv("REDIS_PASSWORD"),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}}))
	sessions := checked(session.New(session.Config{Store: shared.Sessions()}))
	auth := checked(middleware.NewAuth(sessions))
	tickets := checked(ticket.New(ticket.Config{Auth: auth, Path: "/ws", Origins: origins, Store: shared.Tickets()}))
	limiter := checked(shared.Limiter(redis.Limit{Name: "login", Events: 5, Per: time.Minute}))
	logins := checked(middleware.NewRateLimit(middleware.RateLimitConfig{Limiter: limiter}))
	registry := checked(live.New(live.Config{}))
	mux.Handle("GET /ready", registry.Ready(shared.Ready))
	return shared, tickets, logins
}

// The page has the code above, and the configurations in it are accepted.
func TestPageHasTheWiring(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("page_test.go")
	if err != nil {
		t.Fatal(err)
	}
	code := block(t, "go")
	if indented := regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(code, "\t$1"); len(code) < 500 ||
		!strings.Contains(string(source), indented) {
		t.Errorf("it is not in page_test.go:\n%s", code)
	}
	shared, _, _ := wire(http.NewServeMux(),
		checked(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}})))
	_ = shared.Close()
}

// A server starts with the settings of the page. A node logs no complaint about them, and its
// user may run its commands.
func TestPageHasTheSettingsOfAServer(t *testing.T) {
	t.Parallel()
	var args []string
	for line := range strings.Lines(block(t, "conf")) {
		words := strings.Fields(line)
		args = append(append(args, "--"+words[0]), words[1:]...)
	}
	s := startServer(t, args...)
	if got := raw(t, s.Addr).ConfigGet(t.Context(), "appendonly").Val()["appendonly"]; got != "yes" {
		t.Errorf("appendonly %q", got)
	}
	var log logged
	shared := nodeWith(t, redis.Config{Log: textLog(&log), Options: &goredis.UniversalOptions{
		Addrs: []string{s.Addr}, Username: "app", Password: "change-me",
	}})
	useAll(t, shared)
	eventually(t, "the node is ready", func() bool { return shared.Ready(t.Context()) == nil })
	if strings.Contains(log.String(), "maxmemory") || strings.Contains(log.String(), "NOPERM") {
		t.Errorf("the log: %s", &log)
	}
}

// useAll does everything once that a service does with the server.
func useAll(t *testing.T, shared *redis.Shared) {
	t.Helper()
	// the disk of a test machine is slow
	m := checked(session.New(session.Config{Store: shared.Sessions(), StoreTimeout: 10 * time.Second}))
	b := &browser{m: m}
	b.request(t, func(ctx context.Context) error { return m.Login(ctx, session.Identity{Subject: "ann"}) })
	b.request(t, m.LogoutOthers)
	list, err := m.Sessions(t.Context(), "ann")
	if len(list) != 1 {
		t.Errorf("%d sessions", len(list))
	}
	b.request(t, m.Logout)
	limiter := checked(shared.Limiter(redis.Limit{Name: "login", Events: 5}))
	_, errLimit := limiter.Allow(t.Context(), "ann")
	tickets, key := shared.Tickets(), strings.Repeat("k", 43)
	err = errors.Join(err, errLimit,
		m.SetRoles(t.Context(), "ann", []string{"admin"}),
		m.LogoutEverywhere(t.Context(), "ann"),
		m.Revocations().Revoke(t.Context(), middleware.Revocation{Subject: "ann"}),
		tickets.Put(t.Context(), key, []byte("ticket"), time.Minute))
	_, errConsume := tickets.Consume(t.Context(), key)
	if err := errors.Join(err, errConsume); err != nil {
		t.Error(err)
	}
}

// Every test that the page names is in the file that it links.
func TestPageNamesTests(t *testing.T) {
	t.Parallel()
	links := regexp.MustCompile(`\[(Test\w+)\]\(([^)]+)\)`).FindAllStringSubmatch(page(t), -1)
	if len(links) < 10 {
		t.Errorf("%d links", len(links))
	}
	for _, link := range links {
		source, err := os.ReadFile("../../docs/" + link[2])
		if err != nil || !strings.Contains(string(source), "\nfunc "+link[1]+"(t *testing.T)") {
			t.Errorf("%s is not in %s: %v", link[1], link[2], err)
		}
	}
}
