package session_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/securews/securews/internal/followers"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// announcements make a store an Announcer.
type announcements struct {
	followers.List[middleware.Revocation]
	mu    sync.Mutex
	made  []middleware.Revocation
	fault func(ctx context.Context, tell func()) error // in place of telling
}

func (a *announcements) Announce(ctx context.Context, v middleware.Revocation) error {
	a.mu.Lock()
	a.made = append(a.made, v)
	fault := a.fault
	a.mu.Unlock()
	if fault != nil {
		return fault(ctx, func() { a.Tell(v) })
	}
	a.Tell(v)
	return nil
}

func (a *announcements) set(fault func(context.Context, func()) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = fault
}

// during returns the announcements that fn makes.
func (a *announcements) during(fn func()) []middleware.Revocation {
	a.mu.Lock()
	a.made = nil
	a.mu.Unlock()
	fn()
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.made)
}

type announcingStore struct {
	*shakyStore
	*announcements
}

type announcingSwapper struct {
	*swapStore
	*announcements
}

var (
	_ session.Announcer = announcingStore{}
	_ session.Announcer = announcingSwapper{}
	_ session.Swapper   = announcingSwapper{}
)

// eachAnnouncer runs a test in a bubble on each kind of announcing store.
func eachAnnouncer(t *testing.T, test func(t *testing.T, store scs.Store, a *announcements)) {
	t.Helper()
	for name, create := range map[string]func(*announcements) scs.Store{
		"a store that compares": func(a *announcements) scs.Store { return announcingSwapper{&swapStore{shakyStore: newShakyStore()}, a} },
		"a store that does not": func(a *announcements) scs.Store { return announcingStore{newShakyStore(), a} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &announcements{}
				test(t, create(a), a)
			})
		})
	}
}

// heard are the revocations that a follower was told.
type heard struct {
	mu   sync.Mutex
	told []middleware.Revocation
}

func (h *heard) tell(v middleware.Revocation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, v)
}

// of reports whether an end of the principal's session, or of its subject, was told.
func (h *heard) of(p middleware.Principal) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.told, func(v middleware.Revocation) bool {
		return v.SessionHandle == p.SessionHandle || v.Subject == p.Subject && v.Issuer == p.Issuer
	})
}

// However an Announcer fails, the sign-out answers within its bound, the session is dead on every
// node, the followers of this process are told, and a lost announcement is a failure of the sign-out.
func TestSignOutsWithAnnouncersThatFail(t *testing.T) {
	for name, tt := range map[string]struct {
		fault  func(ctx context.Context, tell func()) error
		status int
		remote bool // whether the other node hears of it at once
	}{
		"quick": {fault: func(_ context.Context, tell func()) error { tell(); return nil }, status: 200, remote: true},
		"slow": {fault: func(_ context.Context, tell func()) error {
			time.Sleep(300 * time.Millisecond)
			tell()
			return nil
		}, status: 200, remote: true},
		"late":    {fault: func(_ context.Context, tell func()) error { time.AfterFunc(time.Minute, tell); return nil }, status: 200},
		"lying":   {fault: func(context.Context, func()) error { return nil }, status: 200},
		"failing": {fault: func(context.Context, func()) error { return errDown }, status: 503},
		"without an answer": {fault: func(ctx context.Context, _ func()) error {
			<-ctx.Done()
			return ctx.Err()
		}, status: 503},
		"deaf to its context": {fault: func(context.Context, func()) error { time.Sleep(time.Hour); return nil }, status: 503},
		"panicking":           {fault: func(context.Context, func()) error { panic("down") }, status: 500},
	} {
		for _, path := range []string{"/logout", "/others", "/everywhere?u=alice", "/login?u=bob"} {
			t.Run(name+path, func(t *testing.T) {
				eachAnnouncer(t, func(t *testing.T, store scs.Store, a *announcements) {
					here, there := newManager(t, session.Config{Store: store}), newManager(t, session.Config{Store: store})
					b := newBrowser(t, app(t, here))
					b.get("/login?u=alice")
					p := b.mustPrincipal(here)
					var local, remote heard
					defer here.Follow(local.tell)()
					defer a.Follow(remote.tell)() // as another process does
					a.set(tt.fault)
					began := time.Now()
					b.wants(path, tt.status, "")
					if took := time.Since(began); took > 3*time.Second {
						t.Errorf("the answer took %v", took)
					}
					if !local.of(p) {
						t.Error("the followers of this process were not told")
					}
					if remote.of(p) != tt.remote {
						t.Errorf("another process heard of it: %v, want %v", !tt.remote, tt.remote)
					}
					for node, m := range map[string]*session.Manager{"this": here, "the other": there} {
						if err := m.Alive(t.Context(), p); err == nil {
							t.Errorf("the session is alive on %s node", node)
						}
					}
					a.set(nil)
					time.Sleep(2 * time.Hour) // calls that were given up return
				})
			})
		}
	}
}

// A sign-out whose announcement was lost can be tried again, and is announced then, also if nothing of
// the session is left but its tombstone.
func TestLostAnnouncementIsMadeAgain(t *testing.T) {
	for name, try := range map[string]func(m *session.Manager, b *browser, p middleware.Principal) (ok bool){
		"Logout": func(_ *session.Manager, b *browser, _ middleware.Principal) bool {
			return b.get("/logout").StatusCode == 200
		},
		"LogoutEverywhere": func(m *session.Manager, b *browser, p middleware.Principal) bool {
			return m.LogoutEverywhere(b.t.Context(), p.Subject) == nil
		},
		"End": func(m *session.Manager, b *browser, p middleware.Principal) bool {
			status, _ := answers(m.End(b.t.Context(), p.Subject, p.SessionHandle))
			return status != 503 // 401 says that it has ended
		},
		"Revoke": func(m *session.Manager, b *browser, p middleware.Principal) bool {
			return m.Revocations().Revoke(b.t.Context(), middleware.Revocation{SessionHandle: p.SessionHandle}) == nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachAnnouncer(t, func(t *testing.T, store scs.Store, a *announcements) {
				m := newManager(t, session.Config{Store: store})
				b := newBrowser(t, app(t, m))
				b.get("/login?u=alice")
				p := b.mustPrincipal(m)
				var remote heard
				defer a.Follow(remote.tell)()
				a.set(func(context.Context, func()) error { return errDown })
				for range 3 {
					if try(m, b, p) {
						t.Error("it is acknowledged without an announcement")
					}
				}
				a.set(nil)
				if !try(m, b, p) {
					t.Error("it fails with a store that announces again")
				}
				if !remote.of(p) {
					t.Error("another process has not heard of it")
				}
			})
		})
	}
}

// A cookie that someone has made up has nothing announced.
func TestNothingIsAnnouncedOfAnInventedSession(t *testing.T) {
	eachAnnouncer(t, func(t *testing.T, store scs.Store, a *announcements) {
		m := newManager(t, session.Config{Store: store})
		b := newBrowser(t, app(t, m))
		b.cookies["__Host-session"] = strings.Repeat("A", 43)
		if made := a.during(func() { b.wants("/logout", 200, "done") }); len(made) > 0 {
			t.Errorf("announced %v", made)
		}
		b.get("/login?u=alice")
		if made := a.during(func() { b.wants("/me", 200, "alice"); b.wants("/logout", 200, "done") }); len(made) != 1 {
			t.Errorf("a Logout has announced %d times, want once", len(made))
		}
	})
}

// Two Managers in one process hear each other through their store.
func TestManagersOnOneAnnouncerHearEachOther(t *testing.T) {
	for name, issuer := range map[string]string{"of one issuer": "https://a.example", "of two issuers": "https://b.example"} {
		t.Run(name, func(t *testing.T) {
			eachAnnouncer(t, func(t *testing.T, store scs.Store, _ *announcements) {
				a := newManager(t, session.Config{Store: store, Issuer: "https://a.example"})
				b := newManager(t, session.Config{Store: store, Issuer: issuer})
				for from, to := range map[*session.Manager]*session.Manager{a: b, b: a} {
					for _, path := range []string{"/logout", "/others", "/everywhere?u=alice", "/roles?u=alice&r=admin"} {
						var told heard
						stop := to.Follow(told.tell)
						user := newBrowser(t, app(t, from))
						user.get("/login?u=alice")
						p := user.mustPrincipal(from)
						user.wants(path, 200, "done")
						if !told.of(p) {
							t.Errorf("%s of one is not told to the followers of the other", path)
						}
						stop()
					}
				}
			})
		})
	}
}

// No lock is held during Announce: it may take as long as the store likes, and others go on.
func TestNoLockIsHeldDuringAnnounce(t *testing.T) {
	eachAnnouncer(t, func(t *testing.T, store scs.Store, a *announcements) {
		m := newManager(t, session.Config{Store: store})
		h := app(t, m)
		b := newBrowser(t, h)
		b.get("/login?u=alice")
		a.set(func(context.Context, func()) error {
			a.set(nil)
			other := newBrowser(t, h)
			other.wants("/login?u=alice", 200, "done")
			other.wants("/others", 200, "done")
			other.wants("/roles?u=alice&r=admin", 200, "done")
			if err := m.Revocations().Revoke(t.Context(), middleware.Revocation{Subject: "alice"}); err != nil {
				t.Error(err)
			}
			return nil
		})
		began := time.Now()
		b.wants("/others", 200, "done")
		if took := time.Since(began); took > 0 {
			t.Errorf("waited %v", took)
		}
	})
}

// A follower learns that announcements may have been missed.
func TestFollowersLearnOfAResync(t *testing.T) {
	eachAnnouncer(t, func(t *testing.T, store scs.Store, a *announcements) {
		list, err := session.NewRevocations(store)
		if err != nil {
			t.Fatal(err)
		}
		own := newManager(t, session.Config{Store: store})
		both := newManager(t, session.Config{Revocations: list})
		for name, follow := range map[string]func(func(middleware.Revocation)) func(){
			"a Manager": own.Follow, "its Revocations": own.Revocations().Follow, "NewRevocations": list.Follow,
			"a Manager with Config.Revocations": both.Follow, "the Revocations of that": both.Revocations().Follow,
		} {
			var told heard
			stop := follow(told.tell)
			a.Tell(middleware.Revocation{Resync: true})
			if !slices.ContainsFunc(told.told, func(v middleware.Revocation) bool { return v.Resync }) {
				t.Errorf("%s: told %v, want a Resync", name, told.told)
			}
			stop()
			a.Tell(middleware.Revocation{Resync: true})
			if len(told.told) != 1 {
				t.Errorf("%s: told %d times, want once, before stop", name, len(told.told))
			}
		}
	})
}
