package ws_test

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// Another process on the same store learns of a role change at its next recheck.
func TestRoleChangeInAnotherProcess(t *testing.T) {
	for name, store := range map[string]scs.Store{
		"a store that lists": memstore.NewWithCleanupInterval(0),
		"one that does not":  struct{ scs.Store }{memstore.NewWithCleanupInterval(0)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, other := startClub(t, session.Config{Store: store}), must(session.New(session.Config{Store: store}))
				c, _ := s.open("/ws", s.signIn("u=alice&r=member&r=admin"), "")
				if err := other.SetRoles(t.Context(), "alice", []string{"member"}); err != nil {
					t.Fatal(err)
				}
				wantEnding(t, c, 3000, "reauth", 4*time.Minute, 5*time.Minute)
			})
		})
	}
}

// A sign-out in another process on the same store: the next request is refused, also by a process
// that has started since, and the connections end at the next recheck, or at once if the
// processes share revocations (ASVS 7.4.1, 7.4.3).
func TestSignOutInAnotherProcess(t *testing.T) {
	everywhere := func(t *testing.T, m *session.Manager) error { return m.LogoutEverywhere(t.Context(), "alice") }
	one := func(t *testing.T, m *session.Manager) error {
		return m.End(t.Context(), "alice", must(m.Sessions(t.Context(), "alice"))[0].Handle)
	}
	for _, tt := range []struct {
		name             string
		signOut          func(*testing.T, *session.Manager) error
		shared           middleware.Revocations
		earliest, latest time.Duration
	}{
		{name: "of one session", signOut: one, earliest: 239 * time.Second, latest: 5 * time.Minute},
		{name: "everywhere", signOut: everywhere, earliest: 239 * time.Second, latest: 5 * time.Minute},
		{name: "of one session, shared", signOut: one, shared: middleware.NewRevocations()},
		{name: "everywhere, shared", signOut: everywhere, shared: middleware.NewRevocations()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := session.Config{Store: memstore.NewWithCleanupInterval(0), Revocations: tt.shared}
				s, other := startClub(t, cfg), must(session.New(cfg))
				alice := s.signIn("u=alice&r=member")
				c, _ := s.open("/ws", alice, "")
				time.Sleep(time.Second)
				if err := tt.signOut(t, other); err != nil {
					t.Fatal(err)
				}
				for what, s := range map[string]*club{"the next request": s, "a request of a new process": startClub(t, cfg)} {
					res := s.request("GET", "/wait", alice)
					if body := string(must(io.ReadAll(res.Body))); res.StatusCode != 401 ||
						!strings.Contains(body, `"credential_revoked"`) {
						t.Errorf("%s: %d %s, want 401 credential_revoked", what, res.StatusCode, body)
					}
				}
				wantEnding(t, c, 3000, "revoked", tt.earliest, tt.latest)
			})
		})
	}
}
