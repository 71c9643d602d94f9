package stores

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/alexedwards/scs/redisstore"
	"github.com/alexedwards/scs/sqlite3store"
	"github.com/alexedwards/scs/v2"
	"github.com/gomodule/redigo/redis"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/securews/securews/internal/needed"
	"github.com/securews/securews/internal/redisserver"
)

// open opens a store by its address: sqlite:PATH or redis:HOST:PORT. Each call has connections
// of its own.
func open(address string) (s scs.Store, stop func(), err error) {
	switch kind, path, _ := strings.Cut(address, ":"); kind {
	case "sqlite":
		return openSQLite(path)
	case "redis":
		pool := &redis.Pool{
			MaxIdle: 8,
			Dial:    func() (redis.Conn, error) { return redis.Dial("tcp", path) },
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
	db.SetMaxOpenConns(4) // those who wait for a connection are served in turn, those who wait for SQLite's lock are not
	// The table is that which scs documents.
	const table = "CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL)"
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
	sync.Once
	*redisserver.Server
	err error
}

// redisServer returns the address of a redis-server.
func redisServer(t testing.TB) string {
	t.Helper()
	needed.Program(t, "redis-server", redisserver.Install)
	server.Do(func() { server.Server, server.err = redisserver.New(context.Background()) })
	if server.err != nil {
		t.Fatal(server.err)
	}
	return server.Addr
}
