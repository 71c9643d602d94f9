package redis_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/middleware/redis"
)

// server is a redis-server, which this process starts, kills and starts again.
type server struct {
	t    testing.TB
	addr string
	args []string
	dir  string

	mu  sync.Mutex
	in  io.Closer
	cmd *exec.Cmd
}

// needs skips a test without the program. With SECUREWS_ALL=1 it fails.
func needs(t testing.TB, program, install string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	missing := "no " + program + " here; install it with: " + install
	if os.Getenv("SECUREWS_ALL") == "1" {
		t.Fatal(missing)
	}
	t.Skip(missing)
}

func needsRedis(t testing.TB) {
	t.Helper()
	needs(t, "redis-server", "apt-get install -y --no-install-recommends redis-server")
}

// ports are those that freePort has returned.
var ports sync.Map

// freePort returns a port that nothing listens on, once. It is below those that Linux gives to outgoing
// connections.
func freePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(20_000)
		if _, used := ports.LoadOrStore(port, true); used {
			continue
		}
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// startServer starts one on a free port, without persistence.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	needsRedis(t)
	port := freePort(t)
	s := &server{
		t: t, addr: fmt.Sprintf("127.0.0.1:%d", port), dir: t.TempDir(),
		args: append([]string{"--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"}, args...),
	}
	s.start()
	t.Cleanup(s.kill)
	return s
}

// start has a shell between, which kills the server when this process is gone.
func (s *server) start() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	cmd := exec.Command("sh", slices.Concat([]string{"-c", `redis-server "$@" & read -r _; kill -9 $!; wait`, "sh"}, s.args, []string{"--dir", s.dir})...)
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.in, s.cmd = in, cmd
	go func() { _, _ = io.Copy(io.Discard, bufio.NewReader(out)) }()
	if err := s.answers(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) answers() error {
	client := goredis.NewClient(&goredis.Options{Addr: s.addr, MaxRetries: -1})
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if client.Ping(ctx).Err() == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("redis-server does not answer within 30 s")
		}
	}
}

// kill is a SIGKILL. It returns after the process has ended.
func (s *server) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.in.Close()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// restart starts it again, empty.
func (s *server) restart() {
	s.t.Helper()
	s.kill()
	left, _ := filepath.Glob(filepath.Join(s.dir, "*"))
	for _, name := range left {
		if filepath.Base(name) != "nodes.conf" { // its place in a Cluster
			_ = os.RemoveAll(name)
		}
	}
	s.start()
}

// common is the server of the tests that neither kill it nor empty it.
var common struct {
	sync.Once
	*server
}

// TestMain is a node in the processes that tests start.
func TestMain(m *testing.M) {
	if text := os.Getenv(settingsVariable); text != "" {
		os.Exit(serve(text))
	}
	code := m.Run()
	if common.server != nil {
		common.kill()
		_ = os.RemoveAll(common.dir)
	}
	os.Exit(code)
}

func commonServer(t testing.TB) *server {
	t.Helper()
	needsRedis(t)
	common.Do(func() {
		port := freePort(t)
		dir, err := os.MkdirTemp("", "redis")
		if err != nil {
			t.Fatal(err)
		}
		common.server = &server{t: t, addr: fmt.Sprintf("127.0.0.1:%d", port), dir: dir, args: []string{"--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"}}
		common.start()
	})
	return common.server
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
