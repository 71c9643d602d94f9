package session_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// ASVS 7.3.1.
func TestIdleTimeout(t *testing.T) {
	for name, tt := range map[string]struct {
		pause  time.Duration // between requests
		times  int
		status int
	}{
		"alive after 29 minutes":                          {29 * time.Minute, 1, 200},
		"over after 30 minutes":                           {30 * time.Minute, 1, 401},
		"each request extends it":                         {29 * time.Minute, 20, 200},
		"requests closer than a minute extend it as well": {50 * time.Second, 60, 200},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, store := range []*shakyStore{nil, newShakyStore()} {
					cfg := session.Config{}
					if store != nil {
						cfg.Store = store
					}
					b := newBrowser(t, app(t, newManager(t, cfg)))
					b.get("/login?u=alice")
					for range tt.times - 1 {
						time.Sleep(tt.pause)
						b.wants("/me", 200, "alice")
					}
					time.Sleep(tt.pause)
					b.wants("/me", tt.status, "")
				}
			})
		})
	}
}

// ASVS 7.3.2.
func TestAbsoluteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, session.Config{})
		b := newBrowser(t, app(t, m))
		b.get("/login?u=alice")
		p := b.mustPrincipal(m)
		for range 47 {
			time.Sleep(15 * time.Minute)
			b.wants("/me", 200, "alice")
		}
		time.Sleep(15*time.Minute - time.Nanosecond)
		b.wants("/me", 200, "alice")
		if err := m.Alive(t.Context(), p); err != nil {
			t.Errorf("Alive before the end: %v", err)
		}
		time.Sleep(time.Nanosecond)
		b.wants("/me", 401, "no_credential")
		wantsRefusal(t, "Alive at 12 h", m.Alive(t.Context(), p), 401, "credential_expired")
	})
}

// A login starts the absolute time-out anew; a smaller Absolute counts at once.
func TestAbsoluteOfANewLoginAndOfAnotherConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShakyStore()
		m := newManager(t, session.Config{Store: store, Idle: 6 * time.Hour})
		b := newBrowser(t, app(t, m))
		b.get("/login?u=alice")
		time.Sleep(5 * time.Hour)
		b.get("/login?u=alice")
		if p := b.mustPrincipal(m); time.Until(p.Expires) != 12*time.Hour {
			t.Errorf("12 h from the second login, not %v", time.Until(p.Expires))
		}
		strict := newManager(t, session.Config{Store: store, Idle: time.Hour, Absolute: 2 * time.Hour})
		sb := newBrowser(t, app(t, strict))
		sb.cookies = b.cookies
		sb.wants("/me", 200, "alice")
		time.Sleep(30 * time.Minute)
		sb.wants("/me", 200, "alice")
		time.Sleep(59 * time.Minute)
		sb.wants("/me", 200, "alice")
		time.Sleep(31 * time.Minute)
		sb.wants("/me", 401, "no_credential")
	})
}

// Reads are cheap: the store is written once a minute at most.
func TestReadsWriteOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShakyStore()
		b := newBrowser(t, app(t, newManager(t, session.Config{Store: store})))
		b.get("/login?u=alice")
		_, before := store.counts()
		for range 600 { // ten minutes
			time.Sleep(time.Second)
			b.wants("/page", 200, "done")
		}
		if _, after := store.counts(); after-before != 10 {
			t.Errorf("%d writes in ten minutes, want 10", after-before)
		}
	})
}

// Ten thousand connections that are rechecked do not mean ten thousand writes.
func TestConnectionsWriteOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShakyStore()
		m := newManager(t, session.Config{Store: store, ConnectionsExtendIdle: true})
		b := newBrowser(t, app(t, m))
		b.get("/login?u=alice")
		p := b.mustPrincipal(m)
		_, before := store.counts()
		for range 600 { // ten minutes
			time.Sleep(time.Second)
			_, err := m.SessionAlive(t.Context(), p.SessionHandle)
			err = errors.Join(err, m.Alive(t.Context(), p), m.Update(t.Context(), p, func(*session.Values) error { return nil }))
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, after := store.counts(); after-before != 10 {
			t.Errorf("%d writes in ten minutes, want 10", after-before)
		}
	})
}

// ASVS 7.3.1: an open connection counts as use of the session only if the Config says so.
func TestConnectionsAndTheIdleTimeout(t *testing.T) {
	for name, tt := range map[string]struct {
		extend   bool
		ask      func(m *session.Manager, p middleware.Principal) error
		wantOpen bool
	}{
		"Alive extends nothing":                           {false, aliveByPrincipal, false},
		"SessionAlive extends nothing":                    {false, aliveByHandle, false},
		"Alive extends with ConnectionsExtendIdle":        {true, aliveByPrincipal, true},
		"SessionAlive extends with ConnectionsExtendIdle": {true, aliveByHandle, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newManager(t, session.Config{ConnectionsExtendIdle: tt.extend})
				b := newBrowser(t, app(t, m))
				b.get("/login?u=alice")
				p := b.mustPrincipal(m)
				for range 5 { // a recheck every 5 min, no request
					time.Sleep(5 * time.Minute)
					if err := tt.ask(m, p); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(5 * time.Minute)
				if tt.wantOpen {
					if err := tt.ask(m, p); err != nil {
						t.Errorf("after 30 min: %v", err)
					}
					b.wants("/me", 200, "alice")
					return
				}
				wantsRefusal(t, "after 30 min", tt.ask(m, p), 401, "credential_expired")
				b.wants("/me", 401, "no_credential")
			})
		})
	}
}

func aliveByPrincipal(m *session.Manager, p middleware.Principal) error {
	return m.Alive(context.Background(), p)
}

func aliveByHandle(m *session.Manager, p middleware.Principal) error {
	_, err := m.SessionAlive(context.Background(), p.SessionHandle)
	return err
}

func TestListedTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, session.Config{})
		b := newBrowser(t, app(t, m))
		start := time.Now()
		b.get("/login?u=alice")
		time.Sleep(10 * time.Minute)
		b.get("/page")
		list, err := m.Sessions(t.Context(), "alice")
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		x := list[0]
		if !x.LoggedIn.Equal(start) || !x.LastSeen.Equal(start.Add(10*time.Minute)) || !x.Expires.Equal(start.Add(12*time.Hour)) {
			t.Errorf("%+v, began %v", x, start)
		}
		time.Sleep(30 * time.Minute)
		if list, err := m.Sessions(t.Context(), "alice"); err != nil || list == nil || len(list) != 0 {
			t.Errorf("an idle session is listed: %v %v", list, err)
		}
	})
}
