package session_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// watchedStore calls a function before each of its steps.
type watchedStore struct {
	*memstore.MemStore
	before func()
}

func (s *watchedStore) Find(key string) ([]byte, bool, error) {
	s.before()
	return s.MemStore.Find(key)
}

func (s *watchedStore) Commit(key string, b []byte, expiry time.Time) error {
	s.before()
	return s.MemStore.Commit(key, b, expiry)
}

func (s *watchedStore) Delete(key string) error {
	s.before()
	return s.MemStore.Delete(key)
}

// watchedSwapper also compares before it writes.
type watchedSwapper struct{ *watchedStore }

func (s watchedSwapper) Swap(_ context.Context, key string, old, b []byte, expiry time.Time) (bool, error) {
	s.before()
	now, found, err := s.MemStore.Find(key)
	if err != nil || found != (old != nil) || found && string(now) != string(old) {
		return false, err
	}
	return true, s.MemStore.Commit(key, b, expiry)
}

// waysToEnd are all ways to end the session of a browser.
var waysToEnd = map[string]func(m *session.Manager, b *browser, p middleware.Principal) error{
	"Logout":       visiting("/logout"),
	"Login":        visiting("/login?u=bob"),
	"LogoutOthers": visiting("/others"),
	"LogoutOthers of another session": func(_ *session.Manager, b *browser, _ middleware.Principal) error {
		other := newBrowser(b.t, b.h)
		other.get("/login?u=alice")
		other.wants("/others", 200, "done")
		return nil
	},
	"LogoutEverywhere": func(m *session.Manager, b *browser, p middleware.Principal) error {
		return m.LogoutEverywhere(b.t.Context(), p.Subject)
	},
	"End": func(m *session.Manager, b *browser, p middleware.Principal) error {
		return m.End(b.t.Context(), p.Subject, p.SessionHandle)
	},
	"Revoke of the session": func(m *session.Manager, b *browser, p middleware.Principal) error {
		return m.Revocations().Revoke(b.t.Context(), middleware.Revocation{SessionHandle: p.SessionHandle})
	},
	"Revoke of the subject": func(m *session.Manager, b *browser, p middleware.Principal) error {
		return m.Revocations().Revoke(b.t.Context(), middleware.Revocation{Subject: p.Subject})
	},
}

func visiting(path string) func(*session.Manager, *browser, middleware.Principal) error {
	return func(_ *session.Manager, b *browser, _ middleware.Principal) error {
		b.wants(path, 200, "done")
		return nil
	}
}

// The followers are told after the last step before which a read still finds the session alive:
// a connection that is opened on such a read would go on otherwise.
func TestFollowersAreToldWhenNoReadFindsTheSession(t *testing.T) {
	t.Parallel()
	for name, end := range waysToEnd {
		for _, compares := range []bool{false, true} {
			for what, list := range map[string]func() middleware.Revocations{
				"the store alone":     func() middleware.Revocations { return nil },
				"and its Revocations": middleware.NewRevocations,
			} {
				t.Run(fmt.Sprintf("%s, compares %v, %s", name, compares, what), func(t *testing.T) {
					t.Parallel()
					wantToldAfterTheLastRead(t, compares, list(), end)
				})
			}
		}
	}
}

func wantToldAfterTheLastRead(t *testing.T, compares bool, list middleware.Revocations,
	end func(*session.Manager, *browser, middleware.Principal) error,
) {
	watched := &watchedStore{memstore.NewWithCleanupInterval(0), func() {}}
	quiet := &watchedStore{watched.MemStore, func() {}}
	var store, other scs.Store = watched, quiet
	if compares {
		store, other = watchedSwapper{watched}, watchedSwapper{quiet}
	}
	m := newManager(t, session.Config{Store: store, Revocations: list})
	reader := newManager(t, session.Config{Store: other, Revocations: list})
	b := newBrowser(t, app(t, m))
	b.get("/login?u=alice")
	p := b.mustPrincipal(m)
	seen := 0 // reads that found the session since the followers were told
	watched.before = func() {
		if reader.Alive(t.Context(), p) == nil {
			seen++
		}
	}
	m.Follow(func(v middleware.Revocation) {
		if v.SessionHandle == p.SessionHandle || v.Subject == p.Subject {
			seen = 0
		}
	})
	if err := end(m, b, p); err != nil {
		t.Fatal(err)
	}
	if err := reader.Alive(t.Context(), p); err == nil {
		t.Error("the session is alive")
	}
	if seen > 0 {
		t.Errorf("%d reads found the session after the followers were told", seen)
	}
}
