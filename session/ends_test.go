package session_test

import (
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// The attack: a handle that the client has chosen is the key of a mark, and its revocation takes
// a sign-out back.
func TestRevocationOfAKeyThatIsNoSessionDeletesNothing(t *testing.T) {
	t.Parallel()
	store := memstore.NewWithCleanupInterval(0)
	m := newManager(t, session.Config{Store: store})
	b := newBrowser(t, app(t, m))
	b.get("/login?u=alice")
	if err := m.LogoutEverywhere(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	all, err := store.All()
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range all {
		if !strings.HasPrefix(string(value), "wsr") {
			continue // the record
		}
		if err := m.Revocations().Revoke(t.Context(), middleware.Revocation{SessionHandle: key}); err != nil {
			t.Error(err)
		}
	}
	b.wants("/me", 401, "credential_revoked")
}

// The attack: the record has run out, or another node has deleted it, and its connections have
// not been asked about since. A logout ends them.
func TestLogoutWithoutARecordEndsConnections(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]func() scs.Store{
		"a store that compares": session.NewMemory,
		"another":               func() scs.Store { return newShakyStore() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newManager(t, session.Config{Store: store(), Idle: time.Minute})
				b := newBrowser(t, app(t, m))
				b.get("/login?u=alice")
				p, told := b.mustPrincipal(m), false
				defer m.Follow(func(v middleware.Revocation) { told = told || v.Covers(p) })()
				time.Sleep(2 * time.Minute)
				b.wants("/logout", 200, "done")
				if !told {
					t.Error("the followers were not told")
				}
			})
		})
	}
}

// lateStore commits values after a while, whether or not its caller has given up.
type lateStore struct {
	*shakyStore
	mu   sync.Mutex
	late func(b []byte) time.Duration
}

func (s *lateStore) set(late func(b []byte) time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = late
}

func (s *lateStore) Commit(key string, b []byte, expiry time.Time) error {
	s.mu.Lock()
	late := s.late
	s.mu.Unlock()
	if late != nil {
		time.Sleep(late(b))
	}
	return s.shakyStore.Commit(key, b, expiry)
}

// once delays the first write by d.
func once(d time.Duration) func([]byte) time.Duration {
	var first sync.Once
	return func([]byte) (late time.Duration) {
		first.Do(func() { late = d })
		return late
	}
}

// untilDone tries as long as the store does not answer.
func untilDone(t *testing.T, fn func() error) {
	t.Helper()
	for range 20 {
		err := fn()
		if err == nil {
			return
		}
		if status, _ := answers(err); status != 503 && !strings.Contains(err.Error(), "deadline") {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
	}
	t.Fatal("no success")
}

// The attack: a change that was given up is written after a later one, which has returned nil.
func TestChangeThatWasGivenUpDoesNotUndoALaterOne(t *testing.T) {
	t.Parallel()
	t.Run("roles", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			store := &lateStore{shakyStore: newShakyStore()}
			m := newManager(t, session.Config{Store: store})
			b := newBrowser(t, app(t, m))
			b.get("/login?u=alice&r=user")
			store.set(once(5 * time.Second))
			if err := m.SetRoles(t.Context(), "alice", []string{"admin"}); err == nil {
				t.Fatal("the store has answered")
			}
			untilDone(t, func() error { return m.SetRoles(t.Context(), "alice", []string{"user"}) })
			time.Sleep(10 * time.Second)
			if got := b.roles(m); got != "user" {
				t.Errorf("roles %q, want user", got)
			}
		})
	})
	for name, tt := range map[string]struct{ first, then middleware.Revocation }{
		"a cut-off": {
			middleware.Revocation{Subject: "alice", Issuer: "i", Before: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)},
			middleware.Revocation{Subject: "alice", Issuer: "i", Before: time.Date(2000, 1, 1, 0, 0, 9, 0, time.UTC)},
		},
		"a token": {
			middleware.Revocation{TokenHandle: "token", Expires: time.Date(2000, 1, 1, 0, 10, 0, 0, time.UTC)},
			middleware.Revocation{TokenHandle: "token", Expires: time.Date(2000, 1, 1, 2, 0, 0, 0, time.UTC)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &lateStore{shakyStore: newShakyStore()}
				list, err := session.NewRevocations(store)
				if err != nil {
					t.Fatal(err)
				}
				p := middleware.Principal{
					Issuer: "i", Subject: "alice",
					TokenHandle: "token", IssuedAt: time.Date(2000, 1, 1, 0, 0, 5, 0, time.UTC),
				}
				store.set(once(5 * time.Second))
				if err := list.Revoke(t.Context(), tt.first); err == nil {
					t.Fatal("the store has answered")
				}
				untilDone(t, func() error { return list.Revoke(t.Context(), tt.then) })
				time.Sleep(time.Hour)
				if !revoked(t, list, p) {
					t.Error("the revocation is undone")
				}
			})
		})
	}
}

// The attack: two nodes differ in Absolute, as while a new configuration is rolled out. The one
// with the shorter signs out, and an extension on the other is written late.
func TestLogoutHoldsOnANodeWithALongerAbsolute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &lateStore{shakyStore: newShakyStore()}
		short := newManager(t, session.Config{Store: store, Absolute: time.Hour, Idle: time.Hour})
		long := newManager(t, session.Config{Store: store, Absolute: 12 * time.Hour, Idle: 12 * time.Hour})
		b, other := newBrowser(t, app(t, long)), newBrowser(t, app(t, short))
		b.get("/login?u=alice")
		time.Sleep(2 * time.Hour)
		store.set(once(3 * time.Minute))
		b.wants("/me", 200, "alice") // extends the idle time-out
		other.cookies = maps.Clone(b.cookies)
		other.wants("/logout", 200, "done")
		time.Sleep(5 * time.Minute)
		b.wants("/me", 401, "")
	})
}

// lyingStore commits, and reports a failure.
type lyingStore struct {
	*shakyStore
	lies bool
}

func (s *lyingStore) Commit(key string, b []byte, expiry time.Time) error {
	err := s.shakyStore.Commit(key, b, expiry)
	if err == nil && s.lies {
		err = errDown
	}
	return err
}

// The attack: the store takes the tombstone and reports a failure. Who tries again is told that
// the session has ended, and then its connections have, too.
func TestEndThatIsTriedAgainEndsConnections(t *testing.T) {
	t.Parallel()
	store := &lyingStore{shakyStore: newShakyStore()}
	m := newManager(t, session.Config{Store: store})
	b := newBrowser(t, app(t, m))
	b.get("/login?u=alice")
	p, told := b.mustPrincipal(m), false
	defer m.Follow(func(v middleware.Revocation) { told = told || v.SessionHandle == p.SessionHandle })()
	store.lies = true
	wantsRefusal(t, "End", m.End(t.Context(), "alice", p.SessionHandle), 503, "unavailable")
	store.lies = false
	wantsRefusal(t, "End again", m.End(t.Context(), "alice", p.SessionHandle), 401, "credential_revoked")
	if !told {
		t.Error("the followers were not told")
	}
}
