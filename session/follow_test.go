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

type announcingWatched struct {
	*watchedStore
	*announcements
}

type announcingWatchedSwapper struct {
	watchedSwapper
	*announcements
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

// The followers of another process, which the store tells, are told after the last step before which a
// read there still finds the session alive: a connection that is opened on such a read would go on otherwise.
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
					one := list()
					wantToldAfterTheLastRead(t, compares, one, one, end)
				})
			}
			t.Run(fmt.Sprintf("%s, compares %v, and Revocations of each process", name, compares), func(t *testing.T) {
				t.Parallel()
				wantToldAfterTheLastRead(t, compares, middleware.NewRevocations(), middleware.NewRevocations(), end)
			})
		}
	}
}

func wantToldAfterTheLastRead(t *testing.T, compares bool, list, others middleware.Revocations,
	end func(*session.Manager, *browser, middleware.Principal) error,
) {
	told := &announcements{}
	watched := &watchedStore{memstore.NewWithCleanupInterval(0), func() {}}
	quiet := &watchedStore{watched.MemStore, func() {}}
	var store, other scs.Store = announcingWatched{watched, told}, announcingWatched{quiet, told}
	if compares {
		store, other = announcingWatchedSwapper{watchedSwapper{watched}, told}, announcingWatchedSwapper{watchedSwapper{quiet}, told}
	}
	m := newManager(t, session.Config{Store: store, Revocations: list})
	reader := newManager(t, session.Config{Store: other, Revocations: others})
	b := newBrowser(t, app(t, m))
	b.get("/login?u=alice")
	p := b.mustPrincipal(m)
	seen := 0 // reads that found the session since the followers were told
	watched.before = func() {
		if reader.Alive(t.Context(), p) == nil {
			seen++
		}
	}
	reader.Follow(func(v middleware.Revocation) {
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

// A sign-out everywhere and a login come between any two steps of a LogoutOthers, which the first of them
// has fail. If it ends the new session nevertheless, the followers are told: its connections would go on.
func TestFollowersAreToldOfAFailedLogoutOthers(t *testing.T) {
	t.Parallel()
	for _, compares := range []bool{false, true} {
		ended := 0
		for step := range 20 {
			watched := &watchedStore{memstore.NewWithCleanupInterval(0), func() {}}
			var store scs.Store = watched
			if compares {
				store = watchedSwapper{watched}
			}
			m := newManager(t, session.Config{Store: store})
			b, another := newBrowser(t, app(t, m)), newBrowser(t, app(t, m))
			b.get("/login?u=alice")
			var p middleware.Principal
			told := false // since the login
			m.Follow(func(v middleware.Revocation) { told = true })
			steps := 0
			watched.before = func() {
				if steps++; steps != step {
					return
				}
				another.wants("/everywhere?u=alice", 200, "done")
				another.wants("/login?u=alice", 200, "done")
				p, told = another.mustPrincipal(m), false
			}
			b.get("/others")
			watched.before = func() {}
			if p.Subject != "" && m.Alive(t.Context(), p) != nil {
				if ended++; !told {
					t.Errorf("compares %v, before step %d: the session has ended, and the followers were not told", compares, step)
				}
			}
		}
		if ended == 0 {
			t.Errorf("compares %v: no session was ended", compares)
		}
	}
}
