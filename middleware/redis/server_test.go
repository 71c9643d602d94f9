package redis_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/internal/needed"
	"github.com/securews/securews/internal/redisserver"
	"github.com/securews/securews/middleware/redis"
)

// server is a redis-server that tests kill and start again.
type server struct {
	*redisserver.Server
	t testing.TB
}

func needsRedis(t testing.TB) {
	t.Helper()
	needed.Program(t, "redis-server", redisserver.Install)
}

func freePort(t testing.TB) int {
	t.Helper()
	port, err := redisserver.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// startServer starts a server on a free port, without persistence.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	needsRedis(t)
	s, err := redisserver.New(t.Context(), args...)
	return started(t, s, err)
}

// startReplica starts one that follows the master.
func startReplica(t testing.TB, master *server) *server {
	t.Helper()
	host, port, err := net.SplitHostPort(master.Addr)
	if err != nil {
		t.Fatal(err)
	}
	return startServer(t, "--replicaof", host+" "+port)
}

func started(t testing.TB, s *redisserver.Server, err error) *server {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &server{s, t}
}

func (s *server) start() {
	s.t.Helper()
	if err := s.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// restart starts it again, empty.
func (s *server) restart() {
	s.t.Helper()
	if err := s.Restart(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// allow sets a rule for the commands of its users, such as "-xadd".
func (s *server) allow(rule string) {
	s.t.Helper()
	if err := raw(s.t, s.Addr).Do(s.t.Context(), "ACL", "SETUSER", "default", rule).Err(); err != nil {
		s.t.Fatal(err)
	}
}

// common is the server of the tests that neither kill it nor empty it.
var common struct {
	sync.Once
	*redisserver.Server
	err error
}

// TestMain is a node in the processes that tests start.
func TestMain(m *testing.M) {
	if text := os.Getenv(settingsVariable); text != "" {
		os.Exit(serve(text))
	}
	code := m.Run()
	if common.Server != nil {
		common.Close()
	}
	os.Exit(code)
}

func commonServer(t testing.TB) *server {
	t.Helper()
	needsRedis(t)
	common.Do(func() { common.Server, common.err = redisserver.New(context.Background()) })
	if common.err != nil {
		t.Fatal(common.err)
	}
	return &server{common.Server, t}
}

// logged is a log that tests read.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func textLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// node opens the state of one node.
func node(t testing.TB, addrs ...string) *redis.Shared {
	t.Helper()
	return nodeWith(t, redis.Config{Options: &goredis.UniversalOptions{Addrs: addrs}})
}

func nodeWith(t testing.TB, cfg redis.Config) *redis.Shared {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s, err := redis.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// eventually waits until the condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
