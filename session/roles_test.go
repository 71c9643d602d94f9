package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// roles returns the roles of the browser's session.
func (b *browser) roles(m *session.Manager) string {
	b.t.Helper()
	return strings.Join(b.mustPrincipal(m).Roles, " ")
}

// A role change reaches every session of the subject, on every kind of store, at its next
// request; it lasts over restarts and renewals, and the sessions go on (ASVS 8.3.2).
func TestSetRoles(t *testing.T) {
	for name, store := range map[string]scs.Store{
		"a store that compares":    &swapStore{shakyStore: newShakyStore()},
		"a store that does not":    newShakyStore(),
		"a store that cannot list": struct{ onlyStore }{onlyStore{newShakyStore()}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newManager(t, session.Config{Store: store})
			other := newManager(t, session.Config{Store: store, Issuer: "another", Name: "another"})
			phone, laptop, bob, foreign := newBrowser(t, app(t, m)),
				newBrowser(t, app(t, m)), newBrowser(t, app(t, m)), newBrowser(t, app(t, other))
			for _, b := range []*browser{phone, laptop, foreign} {
				b.get("/login?u=alice&r=member&r=admin")
			}
			bob.get("/login?u=bob&r=admin")
			phone.get("/put?v=kept")
			login := phone.mustPrincipal(m)

			bob.wants("/roles?u=alice&r=member", 200, "done")
			for what, b := range map[string]*browser{"phone": phone, "laptop": laptop} {
				if got := b.roles(m); got != "member" {
					t.Errorf("%s: %q, want member", what, got)
				}
			}
			if got, foreigner := bob.roles(m), foreign.roles(other); got != "admin" || foreigner != "member admin" {
				t.Errorf("another subject %q, and the subject of another issuer %q, want admin, and member admin", got, foreigner)
			}
			p := phone.mustPrincipal(m)
			p.Roles = login.Roles
			if !p.Expires.Equal(login.Expires) || !p.AuthTime.Equal(login.AuthTime) || p.SessionHandle != login.SessionHandle ||
				!p.HasScope("chat") {
				t.Errorf("the session changed: %+v, want %+v", p, login)
			}
			phone.wants("/note", 200, "kept")
			phone.wants("/put?v=again", 200, "done")

			phone.wants("/others", 200, "done") // a renewal
			if got := phone.roles(m); got != "member" {
				t.Errorf("after a renewal: %q, want member", got)
			}
			again := newManager(t, session.Config{Store: store}) // a restart
			if got := phone.roles(again); got != "member" {
				t.Errorf("after a restart: %q, want member", got)
			}
			laptop.get("/login?u=alice&r=staff")
			if got := laptop.roles(m); got != "staff" {
				t.Errorf("of a later login: %q, want its own, staff", got)
			}
			laptop.wants("/roles?u=alice", 200, "done")
			if got, too := laptop.roles(m), phone.roles(again); got != "" || too != "" {
				t.Errorf("after all were taken: %q and %q", got, too)
			}
		})
	}
}

// The principals from before a change are refused, by a word on which clients authenticate
// again; others are not.
func TestAliveComparesRolesAndScopes(t *testing.T) {
	for _, extend := range []bool{false, true} {
		m := newManager(t, session.Config{ConnectionsExtendIdle: extend})
		b := newBrowser(t, app(t, m))
		b.get("/login?u=alice&r=member&r=admin")
		before := b.mustPrincipal(m)
		var told []middleware.Revocation
		stop := m.Follow(func(v middleware.Revocation) { told = append(told, v) })
		b.wants("/roles?u=alice&r=member&r=admin", 200, "done")
		if err := m.Alive(t.Context(), before); err != nil {
			t.Errorf("after the same roles: %v", err)
		}
		b.wants("/roles?u=alice&r=member", 200, "done")
		wantsRefusal(t, "a principal from before", m.Alive(t.Context(), before), 401, "credential_outdated")
		after := b.mustPrincipal(m)
		if err := m.Alive(t.Context(), after); err != nil {
			t.Errorf("a principal from after: %v", err)
		}
		after.Scopes = []string{"chat", "admin"}
		wantsRefusal(t, "another scope", m.Alive(t.Context(), after), 401, "credential_outdated")
		if _, err := m.SessionAlive(t.Context(), before.SessionHandle); err != nil {
			t.Errorf("SessionAlive: %v", err)
		}
		if len(told) != 2 || told[1].Issuer != "session" || told[1].Subject != "alice" || told[1].SessionHandle != "" ||
			told[1].Before.IsZero() {
			t.Errorf("told %+v, want the subject, twice", told)
		}
		stop()
		b.get("/logout")
		wantsRefusal(t, "after the logout", m.Alive(t.Context(), before), 401, "credential_revoked")
	}
}

func TestSetRolesRefuses(t *testing.T) {
	store := newShakyStore()
	m := newManager(t, session.Config{Store: store})
	b := newBrowser(t, app(t, m))
	b.get("/login?u=alice&r=member")
	for name, roles := range map[string][]string{
		"257 roles":              slices.Repeat([]string{"r"}, 257),
		"25 KiB":                 {strings.Repeat("r", 25<<10)},
		"text that is not UTF-8": {"\xff"},
	} {
		if err := m.SetRoles(t.Context(), "alice", roles); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := m.SetRoles(t.Context(), "", nil); err == nil {
		t.Error("no subject: no error")
	}
	store.down()
	wantsRefusal(t, "a store that is down", m.SetRoles(t.Context(), "alice", nil), 503, "unavailable")
	store.up()
	if got := b.roles(m); got != "member" {
		t.Errorf("roles %q, want member as before", got)
	}
}

// An entry that the store has damaged is not read as one of a user without roles.
func TestDamagedRoles(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"cut":                     func(b []byte) []byte { return b[:len(b)-1] },
		"cut in its mark":         func(b []byte) []byte { return b[:12] },
		"with something behind":   func(b []byte) []byte { return append(b, 0) },
		"with a list that lies":   func(b []byte) []byte { return append(b[:21], 0x7f) },
		"of another kind":         func(b []byte) []byte { return append([]byte("wsr\x01X"), b[5:]...) },
		"of nothing that is ours": func([]byte) []byte { return []byte("something") },
	} {
		store := newShakyStore()
		m := newManager(t, session.Config{Store: store})
		b := newBrowser(t, app(t, m))
		b.get("/login?u=alice&r=admin")
		b.get("/roles?u=alice&r=member")
		all, err := store.All()
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range all {
			if strings.HasPrefix(string(value), "wsr\x01R") {
				_ = store.Commit(key, damage(slices.Clone(value)), time.Now().Add(time.Hour))
			}
		}
		if _, err := b.principalOf(m); err == nil {
			t.Errorf("%s: admitted", name)
		} else {
			wantsRefusal(t, name, err, 503, "unavailable")
		}
	}
}

// A login has read the roles that it is given before it begins. A role change while it is under
// way wins: at each of its store calls in turn, the change comes first.
func TestSetRolesDuringALogin(t *testing.T) {
	for step, want := range []string{
		"admin", "admin", "admin", // it reads the three marks: to it, the change came before
		"member",                     // it writes its record
		"member", "member", "member", // it reads the marks again
	} {
		t.Run(fmt.Sprintf("before store call %d", step), func(t *testing.T) {
			t.Parallel()
			store := newShakyStore()
			m := newManager(t, session.Config{Store: store})
			b, calls := newBrowser(t, app(t, m)), 0
			hook := func(string) error {
				if calls++; calls == step+1 {
					store.up()
					newBrowser(t, b.h).wants("/roles?u=alice&r=member", 200, "done")
				}
				return nil
			}
			store.set(func(s *shakyStore) { s.find, s.commit = hook, hook })
			b.get("/login?u=alice&r=admin")
			store.up()
			if got := b.roles(m); got != want || calls != step+1 {
				t.Errorf("roles %q after %d calls, want %q", got, calls, want)
			}
		})
	}
}
