package session_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/session"
)

// What one subject has proven or collected is not the next one's: a second factor of
// alice's, say, when bob's password is all that was shown.
func TestValuesStayWithTheirSubject(t *testing.T) {
	for name, tt := range map[string]struct{ before, after, note string }{
		"those of a session without a login are kept": {"/page", "/login?u=alice", "kept"},
		"the same subject's too":                      {"/login?u=alice", "/login?u=alice", "kept"},
		"and those of a renewal":                      {"/login?u=alice", "/others", "kept"},
		"another subject's do not":                    {"/login?u=alice", "/login?u=bob", "none"},
		"nor those of a logged-out":                   {"/login?u=alice", "/logout", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t, app(t, newManager(t, session.Config{})))
			b.get(tt.before)
			b.get("/put?v=kept")
			b.wants(tt.after, 200, "done")
			b.wants("/note", 200, tt.note)
		})
	}
}

// A Login that is still under way when the response begins, here http.TimeoutHandler's,
// has no way to send its cookie: it fails, and leaves no session behind.
func TestLoginThatComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShakyStore()
		m := newManager(t, session.Config{Store: store, StoreTimeout: 10 * time.Second})
		late := make(chan error, 1)
		b := newBrowser(t, m.Handler(http.TimeoutHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			late <- m.Login(r.Context(), session.Identity{Subject: "alice"})
		}), time.Second, "")))
		store.set(func(s *shakyStore) { s.commit = func(string) error { time.Sleep(2 * time.Second); return nil } })
		if res := b.get("/"); res.StatusCode != 500 || res.Header["Set-Cookie"] != nil {
			t.Errorf("%d, Set-Cookie %q", res.StatusCode, res.Header["Set-Cookie"])
		}
		if err := <-late; !errors.Is(err, session.ErrBegun) {
			t.Errorf("Login: %v, want ErrBegun", err)
		}
		if n := store.records(t); n != 0 {
			t.Errorf("%d records are left", n)
		}
	})
}

// Logout's promise to the browser holds when the same response begins another session,
// whose cookie has to survive it (Clear Site Data §3.1).
func TestLogoutThenAnotherSession(t *testing.T) {
	m := newManager(t, session.Config{LogoutClearsCache: true, LogoutClearsCookies: true})
	for name, next := range map[string]func(r *http.Request) error{
		"a value":       func(r *http.Request) error { return note.Put(m.Values(r.Context()), "signed out") },
		"another login": func(r *http.Request) error { return m.Login(r.Context(), session.Identity{Subject: "bob"}) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t, app(t, m))
			b.get("/login?u=alice")
			res := inRequest(t, b, m, func(_ http.ResponseWriter, r *http.Request) {
				if err := errors.Join(m.Logout(r.Context()), next(r)); err != nil {
					t.Error(err)
				}
			})
			if got := res.Header.Get("Clear-Site-Data"); got != `"cache", "storage"` { // "cookies" would remove the new one
				t.Errorf("Clear-Site-Data: %s", got)
			}
			if lines := res.Header["Set-Cookie"]; len(lines) != 1 || strings.Contains(lines[0], "Max-Age") {
				t.Errorf("Set-Cookie: %q", lines)
			}
		})
	}
}
