package session_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// A store that swallows calls, whatever it thinks of contexts, costs
// StoreTimeout and no more; callers do not pile up.
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

// hangingStore has the Ctx methods, and heeds no context.
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

// A store's panic is a 503, not the end of the process.
func TestStoreThatPanics(t *testing.T) {
	store := newShakyStore()
	b := newBrowser(t, app(t, newManager(t, session.Config{Store: store})))
	b.get("/login?u=alice")
	store.set(func(s *shakyStore) { s.find = func(string) error { panic("not implemented") } })
	b.wants("/me", 503, "unavailable")
	store.up()
	b.wants("/me", 200, "alice")
}

// Revocations are bounded and contained as the store is: 503 after
// StoreTimeout, whether or not they heed the context.
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
		b.wants("/page", 503, "unavailable")
		rev.asked = nil
		b.wants("/me", 200, "alice")
	})
}
