package session_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/internal/recheckby"
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
		ask      askFunc
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
					if err := tt.ask(t.Context(), m, p); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(5 * time.Minute)
				if tt.wantOpen {
					if err := tt.ask(t.Context(), m, p); err != nil {
						t.Errorf("after 30 min: %v", err)
					}
					b.wants("/me", 200, "alice")
					return
				}
				wantsRefusal(t, "after 30 min", tt.ask(t.Context(), m, p), 401, "credential_expired")
				b.wants("/me", 401, "no_credential")
			})
		})
	}
}

// A connection is told when to ask again: at the idle end, or about halfway there if the question
// extends it.
func TestRecheckBy(t *testing.T) {
	const idle, pause = 10 * time.Minute, 4 * time.Minute
	for name, tt := range map[string]struct {
		extend bool
		login  [2]time.Duration // at least and at most after the login, as its principal says
		asked  [2]time.Duration // after a question, a pause later
	}{
		"at the idle end": {false, [2]time.Duration{idle, idle}, [2]time.Duration{idle - pause, idle - pause}},
		"with ConnectionsExtendIdle": {
			true,
			[2]time.Duration{idle * 4 / 10, idle / 2},
			[2]time.Duration{idle * 4 / 10, idle / 2},
		},
	} {
		for how, ask := range map[string]askFunc{"Alive": aliveByPrincipal, "SessionAlive": aliveByHandle} {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					within := func(what string, at time.Time, want [2]time.Duration) {
						t.Helper()
						if got := time.Until(at); got < want[0] || got > want[1] {
							t.Errorf("%s says in %v, want %v to %v", what, got, want[0], want[1])
						}
					}
					m := newManager(t, session.Config{Idle: idle, ConnectionsExtendIdle: tt.extend})
					b := newBrowser(t, app(t, m))
					b.get("/login?u=alice")
					p := b.mustPrincipal(m)
					within("the principal", p.RecheckBy(), tt.login)
					time.Sleep(pause)
					asking := recheckby.Collect(t.Context())
					if err := ask(asking, m, p); err != nil {
						t.Fatal(err)
					}
					within("the answer", asking.Earliest(), tt.asked)
				})
			})
		}
	}
}

// Nothing is asked by a time after the absolute end.
func TestRecheckByOfTheAbsoluteEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, session.Config{Idle: time.Hour, Absolute: time.Hour})
		b := newBrowser(t, app(t, m))
		b.get("/login?u=alice")
		time.Sleep(50 * time.Minute)
		b.wants("/me", 200, "alice") // extends the idle time-out
		time.Sleep(time.Second)
		if p := b.mustPrincipal(m); !p.RecheckBy().Equal(p.Expires) {
			t.Errorf("by %v, and the end is %v", p.RecheckBy(), p.Expires)
		}
	})
}

type askFunc func(context.Context, *session.Manager, middleware.Principal) error

func aliveByPrincipal(ctx context.Context, m *session.Manager, p middleware.Principal) error {
	return m.Alive(ctx, p)
}

func aliveByHandle(ctx context.Context, m *session.Manager, p middleware.Principal) error {
	_, err := m.SessionAlive(ctx, p.SessionHandle)
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
