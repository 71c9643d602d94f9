package session_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// A request that is saving while another logs out: at each of its store calls in
// turn, the logout comes first. The session stays dead.
func TestLogoutBesideASave(t *testing.T) {
	for name, end := range map[string]string{"logout": "/logout", "renewal": "/login?u=alice", "everywhere": "/everywhere?u=alice"} {
		for step := range 4 {
			t.Run(fmt.Sprintf("%s before store call %d", name, step), func(t *testing.T) {
				store := newShakyStore()
				m := newManager(t, session.Config{Store: store})
				h := app(t, m)
				b, ender := newBrowser(t, h), newBrowser(t, h)
				b.get("/login?u=alice")
				stale := b.cookies[hostCookie]
				ender.cookies[hostCookie] = stale
				calls := 0
				hook := func(string) error {
					if calls++; calls == step+1 {
						store.up()
						ender.wants(end, 200, "done")
					}
					return nil
				}
				store.set(func(s *shakyStore) { s.find, s.commit = hook, hook })
				b.get("/put?v=late")
				store.up()
				if calls <= step {
					ender.wants(end, 200, "done") // the save was over: the plain order
				}
				b.cookies[hostCookie] = stale
				b.wants("/me", 401, "")
				b.wants("/note", 200, "none")
			})
		}
	}
}

// The save that met a logout is refused, and its record is gone again.
func TestSaveThatMetALogout(t *testing.T) {
	store := newShakyStore()
	m := newManager(t, session.Config{Store: store})
	h := app(t, m)
	b, ender := newBrowser(t, h), newBrowser(t, h)
	b.get("/login?u=alice")
	ender.cookies[hostCookie] = b.cookies[hostCookie]
	store.set(func(s *shakyStore) {
		s.commit = func(string) error {
			store.up()
			ender.wants("/logout", 200, "done")
			return nil
		}
	})
	b.wants("/put?v=late", 401, "credential_revoked")
	if n := store.records(t); n != 0 {
		t.Errorf("%d records are back", n)
	}
}

// A record that another process writes back, without asking the revocations, is refused.
func TestRecordWrittenBackIsDead(t *testing.T) {
	store := newShakyStore()
	m := newManager(t, session.Config{Store: store})
	b := newBrowser(t, app(t, m))
	b.get("/login?u=alice")
	stale := b.cookies[hostCookie]
	all, _ := store.All()
	b.get("/logout")
	for key, rec := range all {
		_ = store.MemStore.Commit(key, rec, time.Now().Add(time.Hour))
	}
	b.cookies[hostCookie] = stale
	b.wants("/me", 401, "credential_revoked")
	if list, err := m.Sessions(t.Context(), "alice"); err != nil || len(list) != 0 {
		t.Errorf("listed: %v %v", list, err)
	}
}

// Concurrent requests that change different values lose none, and an Update counts
// each of its calls: the default store compares before it writes (ASVS 15.4.2).
func TestNoLostUpdates(t *testing.T) {
	m := newManager(t, session.Config{})
	var others atomic.Int64
	mux := http.NewServeMux()
	mux.Handle("/", app(t, m))
	mux.Handle("/mine", m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		k := session.Key[int64](r.FormValue("k"))
		if err := k.Put(m.Values(r.Context()), others.Add(1)); err != nil {
			t.Error(err)
		}
	})))
	b := newBrowser(t, mux)
	b.get("/login?u=alice")
	p := b.mustPrincipal(m)
	const counter = session.Key[int]("counter")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			one := newBrowser(t, mux)
			one.cookies = map[string]string{hostCookie: b.cookies[hostCookie]}
			one.wants("/mine?k=k"+strconv.Itoa(i), 200, "")
		})
		wg.Go(func() {
			err := m.Update(t.Context(), p, func(v *session.Values) error {
				n, _, err := counter.Get(v)
				if err != nil {
					return err
				}
				return counter.Put(v, n+1)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	err := m.Update(t.Context(), p, func(v *session.Values) error {
		if n, _, _ := counter.Get(v); n != 8 {
			t.Errorf("counter %d, want 8", n)
		}
		for i := range 8 {
			if _, ok, _ := session.Key[int64]("k" + strconv.Itoa(i)).Get(v); !ok {
				t.Errorf("k%d is lost", i)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Goroutines of one handler share the session (go test -race).
func TestConcurrentHandlerGoroutines(t *testing.T) {
	m := newManager(t, session.Config{})
	b := newBrowser(t, m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() { _ = session.Key[int]("k"+strconv.Itoa(i)).Put(m.Values(r.Context()), i) })
			wg.Go(func() { _, _, _ = note.Get(m.Values(r.Context())) })
			wg.Go(func() { _ = m.Login(r.Context(), session.Identity{Subject: "alice"}) })
			wg.Go(func() { _, _ = m.Authenticate(r) })
		}
		wg.Wait()
	})))
	b.wants("/", 200, "")
	if p := b.mustPrincipal(m); p.Subject != "alice" {
		t.Errorf("principal: %+v", p)
	}
}

// What Handler loaded is not believed for the rest of a long request: an Auth that
// asks later asks expiry and revocation again.
func TestAuthenticateAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rev := &downRevocations{Revocations: middleware.NewRevocations()}
		m := newManager(t, session.Config{Revocations: rev})
		for name, tt := range map[string]struct {
			meanwhile func(p middleware.Principal)
			status    int
			reason    middleware.Reason
		}{
			"a sign-out": {
				func(p middleware.Principal) { _ = m.LogoutEverywhere(t.Context(), p.Subject) }, 401, "credential_revoked",
			},
			"revocations down":  {func(middleware.Principal) { rev.revoked = errDown }, 503, "unavailable"},
			"the idle time-out": {func(middleware.Principal) { time.Sleep(30 * time.Minute) }, 0, ""},
		} {
			b := newBrowser(t, app(t, m))
			b.get("/login?u=alice")
			p := b.mustPrincipal(m)
			inRequest(t, b, m, func(_ http.ResponseWriter, r *http.Request) {
				if got, err := m.Authenticate(r); err != nil || got.SessionHandle != p.SessionHandle {
					t.Errorf("before: %v %v", got, err)
				}
				time.Sleep(time.Second)
				tt.meanwhile(p)
				_, err := m.Authenticate(r)
				if tt.status == 0 && !errors.Is(err, middleware.ErrNoCredential) {
					t.Errorf("%s: %v", name, err)
				} else if tt.status != 0 {
					wantsRefusal(t, name, err, tt.status, tt.reason)
				}
			})
			rev.revoked = nil
		}
	})
}

// A stolen session cannot outlive a sign-out everywhere by renewing itself with
// LogoutOthers in the same instant: the sign-out comes after each answer of the
// revocations, and ahead of each store call, in turn.
func TestLogoutOthersBesideLogoutEverywhere(t *testing.T) {
	for step := range 7 {
		store, rev := newShakyStore(), &downRevocations{Revocations: middleware.NewRevocations()}
		m := newManager(t, session.Config{Store: store, Revocations: rev})
		thief := newBrowser(t, app(t, m))
		thief.get("/login?u=alice")
		calls := 0
		hook := func() {
			if calls++; calls == step+1 {
				if err := m.LogoutEverywhere(t.Context(), "alice"); err != nil {
					t.Error(err)
				}
			}
		}
		fault := func(string) error { hook(); return nil }
		rev.asked = hook
		store.set(func(s *shakyStore) { s.find, s.commit, s.remove = fault, fault, fault })
		thief.get("/others")
		store.up()
		rev.asked = nil
		if calls <= step {
			t.Fatalf("step %d: %d calls", step, calls)
		}
		thief.wants("/me", 401, "")
	}
}

// What one goroutine of a handler puts while another signs in is refused, not lost.
func TestPutDuringLogin(t *testing.T) {
	store := newShakyStore()
	m := newManager(t, session.Config{Store: store})
	b := newBrowser(t, nil)
	inRequest(t, b, m, func(_ http.ResponseWriter, r *http.Request) {
		v := m.Values(r.Context())
		store.set(func(s *shakyStore) {
			s.commit = func(string) error {
				if note.Put(v, "lost") == nil || m.Logout(r.Context()) == nil {
					t.Error("a change beside a Login is accepted")
				}
				return nil
			}
		})
		if err := m.Login(r.Context(), session.Identity{Subject: "alice"}); err != nil {
			t.Error(err)
		}
		store.up()
		if err := note.Put(v, "kept"); err != nil {
			t.Errorf("after the Login: %v", err)
		}
	})
	inRequest(t, b, m, func(_ http.ResponseWriter, r *http.Request) {
		if got, _, _ := note.Get(m.Values(r.Context())); got != "kept" {
			t.Errorf("%q", got)
		}
	})
}

// Of two renewals at once in one process, on a store that does not compare, one is refused, and
// the one that was told 200 has the only session.
func TestTwoLogoutOthersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShakyStore()
		m := newManager(t, session.Config{Store: store})
		h := app(t, m)
		browsers := []*browser{newBrowser(t, h), newBrowser(t, h)}
		for _, b := range browsers {
			b.get("/login?u=alice")
		}
		store.set(func(s *shakyStore) {
			s.find = func(string) error { time.Sleep(time.Millisecond); return nil } // both find before one commits
		})
		var wg sync.WaitGroup
		var status [2]int
		for i, b := range browsers {
			wg.Go(func() { status[i] = b.get("/others").StatusCode })
		}
		wg.Wait()
		if status[0] == status[1] {
			t.Fatalf("both are answered %d", status[0])
		}
		for i, b := range browsers {
			b.wants("/me", status[i], "")
		}
	})
}
