package session_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

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
		if err := m.Touch(t.Context(), p); err != nil {
			t.Errorf("Touch before the end: %v", err)
		}
		time.Sleep(time.Nanosecond)
		b.wants("/me", 401, "no_credential")
		wantsRefusal(t, "Touch at 12 h", m.Touch(t.Context(), p), 401, "credential_expired")
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

// Ten thousand sockets that are rechecked do not mean ten thousand writes.
func TestTouchWritesOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShakyStore()
		m := newManager(t, session.Config{Store: store})
		b := newBrowser(t, app(t, m))
		b.get("/login?u=alice")
		p := b.mustPrincipal(m)
		_, before := store.counts()
		for range 600 { // ten minutes
			time.Sleep(time.Second)
			err := errors.Join(m.Touch(t.Context(), p), m.Alive(t.Context(), p), m.Update(t.Context(), p, func(*session.Values) error { return nil }))
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, after := store.counts(); after-before != 10 {
			t.Errorf("%d writes in ten minutes, want 10", after-before)
		}
	})
}

func TestSocketsAndTheIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, session.Config{})
		h := app(t, m)
		touched, watched := newBrowser(t, h), newBrowser(t, h)
		touched.get("/login?u=alice")
		watched.get("/login?u=bob")
		a, b := touched.mustPrincipal(m), watched.mustPrincipal(m)
		for range 5 { // a recheck every 5 min, no request
			time.Sleep(5 * time.Minute)
			if err := m.Touch(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			if err := m.Alive(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Minute)
		if err := m.Touch(t.Context(), a); err != nil {
			t.Errorf("Touch extends: %v", err)
		}
		wantsRefusal(t, "Alive does not extend", m.Alive(t.Context(), b), 401, "credential_expired")
		touched.wants("/me", 200, "alice")
		watched.wants("/me", 401, "no_credential")
	})
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
