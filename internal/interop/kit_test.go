package interop

import (
	"bytes"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var quiet = slog.New(slog.DiscardHandler)

// logs collects log lines.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// patience bounds the wait for an event that comes at once, except on a busy machine.
const patience = time.Minute

// received waits for a value of a channel, or until it is closed.
func received[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Errorf("%s: not within %v", what, patience)
	}
	return v
}

func origins(t testing.TB, allow string) *middleware.OriginPolicy {
	t.Helper()
	p, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{allow}})
	must(t, err)
	return p
}

func auth(t testing.TB, list ...middleware.Authenticator) *middleware.Auth {
	t.Helper()
	a, err := middleware.NewAuth(list...)
	must(t, err)
	return a
}

// admit is an Authenticator in a function.
type admit func(r *http.Request) (middleware.Principal, error)

func (admit) Ambient() bool { return false }

func (a admit) Authenticate(r *http.Request) (middleware.Principal, error) { return a(r) }
