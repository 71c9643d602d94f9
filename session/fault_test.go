package session_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// A store that is down answers 503 with Retry-After, never 500, never a
// guess; and it recovers.
func TestStoreDown(t *testing.T) {
	for _, path := range []string{"/me", "/page", "/login?u=alice", "/logout", "/others", "/put?v=x"} {
		t.Run(path, func(t *testing.T) {
			store := newShakyStore()
			b := newBrowser(t, app(t, newManager(t, session.Config{Store: store})))
			b.get("/login?u=alice")
			store.down()
			res := b.wants(path, 503, "unavailable")
			if res.Header.Get("Retry-After") == "" || res.Header["Set-Cookie"] != nil || res.Header["Clear-Site-Data"] != nil {
				t.Errorf("header: %v", res.Header)
			}
			newBrowser(t, b.h).wants("/page", 200, "done") // without a session
			store.up()
			b.wants("/me", 200, "alice")
		})
	}
}

// The store goes down while the handler works: the whole response of the
// handler is replaced, with its header.
func TestFailedSaveReplacesTheResponse(t *testing.T) {
	store := newShakyStore()
	m := newManager(t, session.Config{Store: store})
	login := newBrowser(t, app(t, m))
	login.get("/login?u=alice")
	for name, write := range map[string]func(w http.ResponseWriter){
		"a body":        func(w http.ResponseWriter) { _, _ = io.WriteString(w, "saved!") },
		"a status":      func(w http.ResponseWriter) { w.WriteHeader(201) },
		"a redirect":    func(w http.ResponseWriter) { w.Header().Set("Location", "/saved"); w.WriteHeader(303) },
		"a flush":       func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
		"a stream":      func(w http.ResponseWriter) { _, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("saved!")) },
		"nothing":       func(http.ResponseWriter) {},
		"a hijack":      func(w http.ResponseWriter) { _, _, _ = http.NewResponseController(w).Hijack() },
		"a body, twice": func(w http.ResponseWriter) { _, _ = w.Write([]byte("saved!")); _, _ = w.Write([]byte("saved!")) },
	} {
		t.Run(name, func(t *testing.T) {
			store.up()
			inner := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := note.Put(m.Values(r.Context()), name); err != nil {
					t.Error(err)
				}
				w.Header().Set("X-Saved", "yes")
				w.Header().Set("X-Outer", "changed")
				store.down()
				write(w)
			}))
			b := newBrowser(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Outer", "kept")
				inner.ServeHTTP(w, r)
			}))
			b.cookies = login.cookies
			res := b.wants("/", 503, "unavailable")
			body, _ := io.ReadAll(res.Body)
			if strings.Contains(string(body), "saved") || res.Header["Location"] != nil || res.Header["X-Saved"] != nil ||
				res.Header["Set-Cookie"] != nil {
				t.Errorf("a claimed success: %v %s", res.Header, body)
			}
			if res.Header.Get("X-Outer") != "kept" {
				t.Errorf("the outer layers' header is lost: %v", res.Header)
			}
		})
	}
}

// A handler that writes after a failed save is told.
func TestWriteAfterFailedSaveFails(t *testing.T) {
	store := newShakyStore()
	store.set(func(s *shakyStore) { s.commit = func(string) error { return errDown } })
	m := newManager(t, session.Config{Store: store})
	newBrowser(t, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = note.Put(m.Values(r.Context()), "x")
		if _, err := io.WriteString(w, "saved!"); !errors.Is(err, errDown) {
			t.Errorf("Write: %v", err)
		}
	}))).wants("/", 503, "unavailable")
}

// Only the extension fails: the handler's answer stands, and the session ends no
// later than before.
func TestFailedExtensionIsHarmless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShakyStore()
		b := newBrowser(t, app(t, newManager(t, session.Config{Store: store})))
		b.get("/login?u=alice")
		time.Sleep(20 * time.Minute)
		store.set(func(s *shakyStore) { s.commit = func(string) error { return errDown } })
		b.wants("/me", 200, "alice")
		store.up()
		time.Sleep(10 * time.Minute)
		b.wants("/me", 401, "no_credential")
	})
}

// Each operation, each single failure: an error, and never half a success that
// leaves the old session usable after a claimed logout.
func TestPartialFailures(t *testing.T) {
	fail := func(string) error { return errDown }
	for name, tt := range map[string]struct {
		path  string
		fault func(s *shakyStore, v *downRevocations)
		after int // status of /me with the same cookie once all is well again
	}{
		// the store knows already
		"logout, revocations down":    {"/logout", func(_ *shakyStore, v *downRevocations) { v.revoke = errDown }, 401},
		"logout, delete fails":        {"/logout", func(s *shakyStore, _ *downRevocations) { s.remove = fail }, 401},
		"login, commit fails":         {"/login?u=bob", func(s *shakyStore, _ *downRevocations) { s.commit = fail }, 200},
		"login, revocations down":     {"/login?u=bob", func(_ *shakyStore, v *downRevocations) { v.revoke = errDown }, 401},
		"login, delete fails":         {"/login?u=bob", func(s *shakyStore, _ *downRevocations) { s.remove = fail }, 401},
		"any load, revocations down":  {"/page", func(_ *shakyStore, v *downRevocations) { v.revoked = errDown }, 200},
		"everywhere, revocation down": {"/everywhere?u=alice", func(_ *shakyStore, v *downRevocations) { v.revoke = errDown }, 401},
		"everywhere, commit fails":    {"/everywhere?u=alice", func(s *shakyStore, _ *downRevocations) { s.commit = fail }, 200},
	} {
		t.Run(name, func(t *testing.T) {
			store, rev := newShakyStore(), &downRevocations{Revocations: middleware.NewRevocations()}
			m := newManager(t, session.Config{Store: store, Revocations: rev})
			b := newBrowser(t, app(t, m))
			b.get("/login?u=alice")
			store.set(func(s *shakyStore) { tt.fault(s, rev) })
			res := b.wants(tt.path, 503, "unavailable")
			if res.Header["Set-Cookie"] != nil {
				t.Errorf("a failure sets %q", res.Header["Set-Cookie"])
			}
			store.up()
			rev.revoke, rev.revoked = nil, nil
			b.wants("/me", tt.after, "")
		})
	}
}

// ASVS 7.4.1: a logout that failed can be tried again, and then it reaches the sockets.
func TestLogoutCanBeTriedAgain(t *testing.T) {
	rev := &downRevocations{Revocations: middleware.NewRevocations(), revoke: errDown}
	m := newManager(t, session.Config{Revocations: rev})
	b := newBrowser(t, app(t, m))
	b.get("/login?u=alice")
	p := b.mustPrincipal(m)
	told := 0
	defer rev.Follow(func(v middleware.Revocation) {
		if v.Covers(p) {
			told++
		}
	})()
	b.wants("/logout", 503, "unavailable")
	rev.revoke = nil
	b.wants("/logout", 200, "done")
	if told != 1 {
		t.Errorf("followers were told %d times, want once", told)
	}
	wantsRefusal(t, "Alive", m.Alive(t.Context(), p), 401, "credential_revoked")
}

// A record that is lost or cannot be read is 401, not 500.
func TestStoreLosesData(t *testing.T) {
	for name, spoil := range map[string]func(key string, b []byte) []byte{
		"a record that is gone":       func(string, []byte) []byte { return nil },
		"an empty record":             func(string, []byte) []byte { return []byte{} },
		"a record cut off":            func(_ string, b []byte) []byte { return b[:len(b)-1] },
		"a record with something on":  func(_ string, b []byte) []byte { return append(b[:len(b):len(b)], 0) },
		"a record of a later version": func(_ string, b []byte) []byte { return append([]byte("wss\x02"), b[4:]...) },
		"scs's gob":                   func(string, []byte) []byte { return []byte{0x2c, 0xff, 0x81, 0x03, 0x01} },
		"64 KiB of zeros":             func(string, []byte) []byte { return make([]byte, 64<<10) },
	} {
		t.Run(name, func(t *testing.T) {
			store := newShakyStore()
			m := newManager(t, session.Config{Store: store})
			b := newBrowser(t, app(t, m))
			b.get("/login?u=alice")
			p := b.mustPrincipal(m)
			all, _ := store.All()
			for key, rec := range all {
				if spoiled := spoil(key, rec); spoiled == nil {
					_ = store.Delete(key)
				} else {
					_ = store.MemStore.Commit(key, spoiled, time.Now().Add(time.Hour))
				}
			}
			b.wants("/me", 401, "no_credential")
			b.wants("/note", 200, "none")
			_, err := m.SessionAlive(t.Context(), p.SessionHandle)
			wantsRefusal(t, "SessionAlive", err, 401, "credential_expired")
			wantsRefusal(t, "Alive", m.Alive(t.Context(), p), 401, "credential_expired")
			if list, err := m.Sessions(t.Context(), "alice"); err != nil || len(list) != 0 {
				t.Errorf("sessions: %v %v", list, err)
			}
			b.wants("/login?u=alice", 200, "done")
			b.wants("/me", 200, "alice")
		})
	}
}

// Two managers on one store do not take each other's sessions (ASVS 6.8.1).
func TestManagersThatShareAStore(t *testing.T) {
	store := newShakyStore()
	users := newManager(t, session.Config{Store: store})
	admins := newManager(t, session.Config{Store: store, Issuer: "admins"})
	user := newBrowser(t, app(t, users))
	user.get("/login?u=root")
	forged := newBrowser(t, app(t, admins))
	forged.cookies = user.cookies
	forged.wants("/me", 401, "no_credential")
	if list, _ := admins.Sessions(t.Context(), "root"); len(list) != 0 {
		t.Errorf("listed: %v", list)
	}
}

// While the store does not answer, the session is not said to be over.
func TestAliveWhileTheStoreIsDown(t *testing.T) {
	store := newShakyStore()
	m := newManager(t, session.Config{Store: store})
	b := newBrowser(t, app(t, m))
	b.get("/login?u=alice")
	p := b.mustPrincipal(m)
	store.down()
	_, err := m.SessionAlive(t.Context(), p.SessionHandle)
	wantsRefusal(t, "SessionAlive", err, 503, "unavailable")
	wantsRefusal(t, "Alive", m.Alive(t.Context(), p), 503, "unavailable")
	wantsRefusal(t, "End", m.End(t.Context(), "alice", p.SessionHandle), 503, "unavailable")
	err = m.Update(t.Context(), p, func(*session.Values) error { return nil })
	wantsRefusal(t, "Update", err, 503, "unavailable")
}

// A panic saves nothing and goes on to the layer that contains it.
func TestPanickingHandlerSavesNothing(t *testing.T) {
	store := newShakyStore()
	m := newManager(t, session.Config{Store: store})
	h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = note.Put(m.Values(r.Context()), "x")
		panic(http.ErrAbortHandler)
	}))
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("recovered %v", p)
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "https://app.example/", nil))
	}()
	if n := store.records(t); n != 0 {
		t.Errorf("%d records", n)
	}
}
