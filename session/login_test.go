package session_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

func TestLoginAndLogout(t *testing.T) {
	m := newManager(t, session.Config{})
	b := newBrowser(t, app(t, m))
	b.wants("/me", 401, "no_credential")
	b.wants("/login?u=alice&device=phone", 200, "done")
	b.wants("/me", 200, "alice")

	p := b.mustPrincipal(m)
	if p.Issuer != "session" || p.Subject != "alice" || p.Method != "session" || !p.HasScope("chat") || p.Attributes["device"] != "phone" {
		t.Errorf("principal: %+v", p)
	}
	if got := p.Expires.Sub(p.IssuedAt); got != 12*time.Hour {
		t.Errorf("the absolute time-out is %v, want 12h", got)
	}
	if strings.Contains(p.SessionHandle, b.cookies[hostCookie]) || p.SessionHandle == "" {
		t.Errorf("the handle is the secret, or empty")
	}

	var told []middleware.Revocation
	defer m.Revocations().Follow(func(v middleware.Revocation) { told = append(told, v) })()
	stale := b.cookies[hostCookie]
	res := b.wants("/logout", 200, "done")
	if got := res.Header.Get("Clear-Site-Data"); got != `"storage"` { // ASVS 14.3.1
		t.Errorf("Clear-Site-Data: %s", got)
	}
	if len(told) != 1 || told[0].SessionHandle != p.SessionHandle || !told[0].Expires.Equal(p.Expires) {
		t.Errorf("revocations: %+v, want one of %s until %v", told, p.SessionHandle, p.Expires)
	}
	b.wants("/me", 401, "no_credential")
	b.cookies[hostCookie] = stale
	b.wants("/me", 401, "credential_revoked") // ASVS 7.4.1
	b.wants("/logout", 200, "done")           // again: the cookie goes, nothing fails
	if len(b.cookies) != 0 {
		t.Errorf("cookies after a second logout: %v", b.cookies)
	}
}

// Session fixation (ASVS 7.2.4): the attacker plants a token of their own.
func TestPlantedTokenIsWorthNothingAfterLogin(t *testing.T) {
	m := newManager(t, session.Config{})
	h := app(t, m)
	attacker := newBrowser(t, h)
	attacker.wants("/put?v=planted", 200, "done")
	planted := attacker.cookies[hostCookie]

	victim := newBrowser(t, h)
	victim.cookies[hostCookie] = planted
	victim.wants("/login?u=alice", 200, "done")
	victim.wants("/me", 200, "alice")
	victim.wants("/note", 200, "planted") // values come along
	if victim.cookies[hostCookie] == planted {
		t.Fatal("the token was not renewed")
	}
	attacker.wants("/me", 401, "no_credential")
	attacker.wants("/note", 200, "none")
}

// A token the server never issued does not become a session.
func TestInventedTokenIsNotAdopted(t *testing.T) {
	m := newManager(t, session.Config{})
	b := newBrowser(t, app(t, m))
	invented := strings.Repeat("A", 43)
	b.cookies[hostCookie] = invented
	b.wants("/put?v=x", 200, "done")
	if b.cookies[hostCookie] == invented {
		t.Error("an invented token was adopted")
	}
	b.wants("/note", 200, "x")
}

// ASVS 7.2.4: the connections of the old id end. A store that compares needs no tombstone
// for that, because nothing can bring the record back.
func TestLoginAgainEndsTheOldSession(t *testing.T) {
	for name, tt := range map[string]struct {
		store  scs.Store
		reason middleware.Reason
	}{
		"a store that compares":     {nil, "credential_expired"},
		"a store that does not":     {newShakyStore(), "credential_revoked"},
		"a store of another module": {struct{ onlyStore }{onlyStore{newShakyStore()}}, "credential_revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newManager(t, session.Config{Store: tt.store})
			b := newBrowser(t, app(t, m))
			b.get("/login?u=alice")
			old := b.mustPrincipal(m)
			told := 0
			defer m.Follow(func(v middleware.Revocation) {
				if v.Covers(old) {
					told++
				}
			})()
			b.get("/login?u=alice")
			b.wants("/me", 200, "alice")
			if told != 1 {
				t.Errorf("followers are told %d times, want once", told)
			}
			wantsRefusal(t, "Alive of the old session", m.Alive(t.Context(), old), 401, tt.reason)
		})
	}
}

func TestLogoutEverywhere(t *testing.T) {
	m := newManager(t, session.Config{})
	h := app(t, m)
	phone, laptop, bob := newBrowser(t, h), newBrowser(t, h), newBrowser(t, h)
	phone.get("/login?u=alice")
	laptop.get("/login?u=alice")
	bob.get("/login?u=bob")
	bob.wants("/everywhere?u=alice", 200, "done")
	phone.wants("/me", 401, "credential_revoked") // ASVS 7.4.3, 7.4.5
	laptop.wants("/me", 401, "credential_revoked")
	bob.wants("/me", 200, "bob")
	phone.wants("/login?u=alice", 200, "done") // right after it
	phone.wants("/me", 200, "alice")
}

func TestLogoutOthers(t *testing.T) {
	m := newManager(t, session.Config{})
	h := app(t, m)
	phone, laptop := newBrowser(t, h), newBrowser(t, h)
	phone.get("/login?u=alice&device=phone")
	phone.get("/put?v=kept")
	laptop.get("/login?u=alice")
	phone.wants("/others", 200, "done") // ASVS 7.4.3
	phone.wants("/me", 200, "alice")
	phone.wants("/note", 200, "kept")
	if p := phone.mustPrincipal(m); p.Attributes["device"] != "phone" {
		t.Errorf("attributes are lost: %v", p.Attributes)
	}
	laptop.wants("/me", 401, "credential_revoked")
	newBrowser(t, h).wants("/others", 401, "no_credential")
}

// ASVS 7.5.2: a user sees and ends single sessions.
func TestSessionsAndEnd(t *testing.T) {
	m := newManager(t, session.Config{})
	h := app(t, m)
	phone, laptop, bob := newBrowser(t, h), newBrowser(t, h), newBrowser(t, h)
	phone.get("/login?u=alice&device=phone")
	laptop.get("/login?u=alice&device=laptop")
	bob.get("/login?u=bob")
	list, err := m.Sessions(t.Context(), "alice")
	if err != nil || len(list) != 2 || list[0].Attributes["device"] != "laptop" || list[1].Attributes["device"] != "phone" {
		t.Fatalf("sessions: %+v %v", list, err)
	}
	lost := list[1].Handle
	wantsRefusal(t, "bob ends alice's", m.End(t.Context(), "bob", lost), 401, "credential_expired")
	phone.wants("/me", 200, "alice")
	if err := m.End(t.Context(), "alice", lost); err != nil {
		t.Fatal(err)
	}
	phone.wants("/me", 401, "credential_revoked")
	laptop.wants("/me", 200, "alice")
	if list, _ := m.Sessions(t.Context(), "alice"); len(list) != 1 {
		t.Errorf("sessions: %+v", list)
	}

	plain := newManager(t, session.Config{Store: struct{ onlyStore }{onlyStore{newShakyStore()}}})
	if _, err := plain.Sessions(t.Context(), "alice"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a store that cannot list: %v", err)
	}
}

// onlyStore hides All.
type onlyStore struct{ s *shakyStore }

func (o onlyStore) Find(key string) ([]byte, bool, error)            { return o.s.Find(key) }
func (o onlyStore) Commit(key string, b []byte, end time.Time) error { return o.s.Commit(key, b, end) }
func (o onlyStore) Delete(key string) error                          { return o.s.Delete(key) }

func TestLoginRefusesBadIdentities(t *testing.T) {
	m := newManager(t, session.Config{})
	for name, id := range map[string]session.Identity{
		"an empty subject":         {},
		"a subject of 1025 bytes":  {Subject: strings.Repeat("a", 1025)},
		"a subject not in UTF-8":   {Subject: "\xff"},
		"25 KiB of attributes":     {Subject: "a", Attributes: map[string]string{"x": strings.Repeat("a", 25<<10)}},
		"more than 256 scopes":     {Subject: "a", Scopes: make([]string, 257)},
		"an attribute not in utf8": {Subject: "a", Attributes: map[string]string{"x": "\xff"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := m.Login(r.Context(), id); err == nil {
					t.Error("Login accepts it")
				}
			})))
			if res := b.get("/"); res.Header["Set-Cookie"] != nil {
				t.Errorf("a cookie was set: %v", res.Header)
			}
		})
	}
}

func TestNothingWorksWithoutHandler(t *testing.T) {
	m := newManager(t, session.Config{})
	ctx := t.Context()
	for name, err := range map[string]error{
		"Login":        m.Login(ctx, session.Identity{Subject: "alice"}),
		"Logout":       m.Logout(ctx),
		"LogoutOthers": m.LogoutOthers(ctx),
		"Put":          note.Put(m.Values(ctx), "x"),
		"Delete":       note.Delete(m.Values(ctx)),
	} {
		if err == nil || !strings.Contains(err.Error(), "Manager.Handler") {
			t.Errorf("%s: %v", name, err)
		}
	}
	var zero session.Manager
	b := newBrowser(t, zero.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the zero Manager lets a request in")
	})))
	b.wants("/", 401, "no_credential")
	if _, err := b.principalOf(&zero); err == nil {
		t.Error("the zero Manager authenticates")
	}
}

// A handle comes from a form: a text that cannot be a handle is not passed to the store as
// a key.
func TestEndAsksNothingForOtherText(t *testing.T) {
	store := newShakyStore()
	m := newManager(t, session.Config{Store: store})
	for _, handle := range []string{"", "\x00", strings.Repeat("A", 42), strings.Repeat("*", 43), strings.Repeat("A", 1<<20)} {
		wantsRefusal(t, "End", m.End(t.Context(), "alice", handle), 401, "credential_expired")
	}
	if reads, _ := store.counts(); reads != 0 {
		t.Errorf("the store is asked %d times", reads)
	}
}

// Tokens of an authenticator of one's own, of the same issuer, end with their session through
// the revocations of the Manager, however it ends.
func TestRevocationsKnowTheEndsOfSessions(t *testing.T) {
	for name, store := range map[string]func() scs.Store{
		"in memory": func() scs.Store { return nil }, "on a store that does not compare": func() scs.Store { return newShakyStore() },
	} {
		for _, end := range []string{"/logout", "/login?u=alice", "/others", "/everywhere?u=alice", ""} {
			t.Run(name+end, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := newManager(t, session.Config{Store: store()})
					b := newBrowser(t, app(t, m))
					b.get("/login?u=alice")
					token := b.mustPrincipal(m)
					token.TokenHandle, token.Method = "token", "own"
					foreign := token
					foreign.Issuer = "https://id.example"
					revoked := func(p middleware.Principal) bool {
						yes, err := m.Revocations().Revoked(t.Context(), p)
						if err != nil {
							t.Error(err)
						}
						return yes
					}
					if revoked(token) || revoked(foreign) {
						t.Fatal("revoked before the end")
					}
					if end == "" {
						time.Sleep(30 * time.Minute)
					} else {
						b.get(end)
					}
					if !revoked(token) {
						t.Error("the token outlives its session")
					}
				})
			})
		}
	}
}
