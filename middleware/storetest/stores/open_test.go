package stores

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/redisstore"
	"github.com/alexedwards/scs/sqlite3store"
	"github.com/alexedwards/scs/v2"
	"github.com/gomodule/redigo/redis"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// open opens a store by its address: sqlite:PATH or redis:SOCKET. Each call has connections
// of its own.
func open(address string) (s scs.Store, stop func(), err error) {
	switch kind, path, _ := strings.Cut(address, ":"); kind {
	case "sqlite":
		return openSQLite(path)
	case "redis":
		pool := &redis.Pool{
			MaxIdle: 8,
			Dial:    func() (redis.Conn, error) { return redis.Dial("unix", path) },
		}
		return redisstore.New(pool), func() { _ = pool.Close() }, nil
	}
	return nil, nil, fmt.Errorf("no store has the address %q", address)
}

// openSQLite does not wait for the disk: the tests kill processes, not the machine.
func openSQLite(path string) (scs.Store, func(), error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)")
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(4)                                                                                                  // those who wait for a connection are served in turn, those who wait for SQLite's lock are not
	const table = "CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL)" // as scs documents it
	if _, err := db.Exec(table); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return sqlite3store.NewWithCleanupInterval(db, 0), func() { _ = db.Close() }, nil
}

// addresses returns an address for each kind of store that survives the process.
func addresses(t testing.TB) map[string]func(t testing.TB) string {
	t.Helper()
	return map[string]func(t testing.TB) string{
		"sqlite3store": func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "sessions.db") },
		"redisstore":   func(t testing.TB) string { return "redis:" + redisServer(t) },
	}
}

func mustOpen(t testing.TB, address string) scs.Store {
	t.Helper()
	s, stop, err := open(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return s
}

// server is the one redis-server of this test binary.
var server struct {
	once   sync.Once
	socket string
	err    error
	end    func()
}

// redisServer returns the socket of a redis-server. If there is none to start, the test is
// skipped; with SECUREWS_ALL=1 it fails.
func redisServer(t testing.TB) string {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		const missing = "no redis-server here; install it with: apt-get install -y --no-install-recommends redis-server"
		if os.Getenv("SECUREWS_ALL") == "1" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	server.once.Do(func() { server.err = startRedis() })
	if server.err != nil {
		t.Fatal(server.err)
	}
	return server.socket
}

// startRedis has a shell between, which ends the server when this process is gone.
func startRedis() error {
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		return err
	}
	server.socket = filepath.Join(dir, "socket")
	cmd := exec.Command("sh", "-c", `redis-server --port 0 --unixsocket "$1" --dir "$2" --save "" --appendonly no & read -r _; kill $!; wait`, "sh", server.socket, dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	server.end = func() {
		_ = in.Close()
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	}
	go func() { _, _ = io.Copy(io.Discard, bufio.NewReader(out)) }()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := (&net.Dialer{}).DialContext(ctx, "unix", server.socket); err == nil {
			return c.Close()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("redis-server does not listen within 30 s")
		}
	}
}
