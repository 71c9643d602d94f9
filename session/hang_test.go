package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// A store that does not return, with or without contexts, costs StoreTimeout and no
// more; goroutines do not pile up.
func TestStoreThatHangs(t *testing.T) {
	for name, wrap := range map[string]func(s *hangingStore) any{
		"without contexts":         func(s *hangingStore) any { return plainStore{s} },
		"that ignores its context": func(s *hangingStore) any { return s },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hang := &hangingStore{shakyStore: newShakyStore(), release: make(chan struct{})}
				cfg := session.Config{}
				switch s := wrap(hang).(type) {
				case plainStore:
					cfg.Store = s
				case *hangingStore:
					cfg.Store = s
				}
				b := newBrowser(t, app(t, newManager(t, cfg)))
				b.get("/login?u=alice")
				hang.hangs = true
				start := time.Now()
				done := make(chan struct{})
				for range 1000 {
					go func() {
						defer func() { done <- struct{}{} }()
						other := newBrowser(t, b.h)
						other.cookies = b.cookies
						other.wants("/me", 503, "unavailable")
					}()
				}
				for range 1000 {
					<-done
				}
				if took := time.Since(start); took != time.Second {
					t.Errorf("the callers waited %v, want 1s", took)
				}
				if n := hang.waiting(); n > 256 {
					t.Errorf("%d calls are held, want at most 256", n)
				}
				hang.hangs = false
				close(hang.release)
				synctest.Wait()
				b.wants("/me", 200, "alice")
			})
		})
	}
}

// hangingStore has the Ctx methods, and ignores the context.
type hangingStore struct {
	*shakyStore
	hangs   bool
	release chan struct{}
	held    int
}

func (s *hangingStore) waiting() int { s.mu.Lock(); defer s.mu.Unlock(); return s.held }

func (s *hangingStore) FindCtx(_ context.Context, key string) ([]byte, bool, error) {
	if s.hangs {
		s.set(func(*shakyStore) { s.held++ })
		<-s.release
	}
	return s.Find(key)
}

func (s *hangingStore) CommitCtx(_ context.Context, key string, b []byte, end time.Time) error {
	return s.Commit(key, b, end)
}

func (s *hangingStore) DeleteCtx(_ context.Context, key string) error { return s.Delete(key) }

// plainStore leaves only the methods without a context.
type plainStore struct{ s *hangingStore }

func (p plainStore) Find(key string) ([]byte, bool, error) {
	return p.s.FindCtx(context.Background(), key)
}

func (p plainStore) Commit(key string, b []byte, end time.Time) error {
	return p.s.shakyStore.Commit(key, b, end)
}
func (p plainStore) Delete(key string) error { return p.s.shakyStore.Delete(key) }

// A panic of the store is 500 `internal` and does not end the process. Its value may hold
// a secret: only its type, or the text of a runtime error, is in the cause (ASVS 16.2.5).
func TestStoreThatPanics(t *testing.T) {
	for name, tt := range map[string]struct {
		fault func(string) error
		want  string
	}{
		"with a text":          {func(string) error { panic("secret") }, "panic: string"},
		"with a runtime error": {func(string) error { nilMap()["secret"]++; return nil }, "assignment to entry in nil map"},
	} {
		t.Run(name, func(t *testing.T) {
			store := newShakyStore()
			m := newManager(t, session.Config{Store: store})
			b := newBrowser(t, app(t, m))
			b.get("/login?u=alice")
			p := b.mustPrincipal(m)
			store.set(func(s *shakyStore) { s.find, s.commit, s.remove = tt.fault, tt.fault, tt.fault })
			for _, path := range []string{"/me", "/page", "/logout", "/others", "/login?u=alice", "/put?v=x"} {
				b.wants(path, 500, "internal")
			}
			_, byHandle := m.SessionAlive(t.Context(), p.SessionHandle)
			for what, err := range map[string]error{"Alive": m.Alive(t.Context(), p), "SessionAlive": byHandle} {
				var panicked *bounded.PanicError
				if !errors.As(err, &panicked) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
					t.Errorf("%s: %v, want a PanicError with %q", what, err, tt.want)
				}
			}
			store.up()
			b.wants("/me", 200, "alice")
		})
	}
}

// Revocations are bounded and contained as the store is: 503 after StoreTimeout,
// whether or not they respect the context; 500 if they panic.
func TestRevocationsThatHangOrPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rev := &downRevocations{Revocations: middleware.NewRevocations()}
		b := newBrowser(t, app(t, newManager(t, session.Config{Revocations: rev})))
		b.get("/login?u=alice")
		rev.asked = func() { time.Sleep(time.Minute) }
		for _, path := range []string{"/page", "/me", "/others"} {
			start := time.Now()
			b.wants(path, 503, "unavailable")
			if took := time.Since(start); took != time.Second {
				t.Errorf("%s took %v, want 1s", path, took)
			}
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		rev.asked = func() { panic("not implemented") }
		b.wants("/page", 500, "internal")
		rev.asked = nil
		b.wants("/me", 200, "alice")
	})
}

func nilMap() map[string]int { return nil }
