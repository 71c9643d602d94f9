package storetest_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

const note = session.Key[string]("note")

// site is an application with one Manager.
type site struct {
	*session.Manager
	http.Handler
}

func newSite(t testing.TB, cfg session.Config) *site {
	t.Helper()
	m := must(session.New(cfg))(t)
	mux := http.NewServeMux()
	do := func(path string, fn func(r *http.Request) error) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if err := fn(r); err != nil {
				middleware.Refuse(w, r, err)
			}
		})
	}
	do("/login", func(r *http.Request) error {
		return m.Login(r.Context(), session.Identity{Subject: r.FormValue("user"), Scopes: []string{"chat"}})
	})
	do("/logout", func(r *http.Request) error { return m.Logout(r.Context()) })
	do("/others", func(r *http.Request) error { return m.LogoutOthers(r.Context()) })
	do("/everywhere", func(r *http.Request) error { return m.LogoutEverywhere(r.Context(), r.FormValue("user")) })
	do("/end", func(r *http.Request) error { return m.End(r.Context(), r.FormValue("user"), r.FormValue("handle")) })
	do("/put", func(r *http.Request) error { return note.Put(m.Values(r.Context()), r.FormValue("value")) })
	do("/me", func(r *http.Request) error {
		_, err := m.Authenticate(r)
		if errors.Is(err, middleware.ErrNoCredential) {
			err = middleware.Unauthorized(middleware.ReasonNoCredential, err)
		}
		return err
	})
	return &site{m, m.Handler(mux)}
}

// client is a browser, or a thief with a copy of its cookie.
type client struct {
	t      testing.TB
	s      *site
	cookie string
}

func (s *site) client(t testing.TB) *client { return &client{t, s, ""} }

// signedIn is a new client after a login.
func (s *site) signedIn(t testing.TB, user string) *client {
	t.Helper()
	c := s.client(t)
	c.wants(200, "/login?user="+user)
	return c
}

func (c *client) request(path string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://app.example"+path, nil)
	if c.cookie != "" {
		r.AddCookie(&http.Cookie{Name: "__Host-session", Value: c.cookie})
	}
	return r
}

// get returns the status of the answer.
func (c *client) get(path string) int {
	w := httptest.NewRecorder()
	c.s.ServeHTTP(w, c.request(path))
	for _, cookie := range w.Result().Cookies() {
		c.cookie = cookie.Value
	}
	return w.Code
}

func (c *client) wants(status int, path string) {
	c.t.Helper()
	if got := c.get(path); got != status {
		c.t.Errorf("%s: %d, want %d", path, got, status)
	}
}

// on is the client at another node.
func (c *client) on(s *site) *client { return &client{c.t, s, c.cookie} }

func (c *client) principal() middleware.Principal {
	c.t.Helper()
	p, err := c.s.Authenticate(c.request("/"))
	if err != nil {
		c.t.Error(err)
	}
	return p
}

// life has a user do all that a Manager offers, over hours.
func life(t *testing.T, s *site, list middleware.Revocations, wait func()) {
	t.Helper()
	guest := s.client(t)
	guest.wants(200, "/put?value=before+the+login") // a session without a login
	guest.wants(200, "/login?user=alice")
	guest.wants(200, "/put?value=after")
	phone, tablet := s.signedIn(t, "alice"), s.signedIn(t, "alice")
	wait() // the idle time-out is extended
	for _, c := range []*client{guest, phone, tablet} {
		c.wants(200, "/me")
	}
	if all, err := s.Sessions(t.Context(), "alice"); err != nil || len(all) != 3 {
		t.Errorf("%d sessions are listed, want 3: %v", len(all), err)
	}
	p := phone.principal()
	if err := s.Update(t.Context(), p, func(v *session.Values) error { return note.Put(v, "updated") }); err != nil {
		t.Error(err)
	}
	if err := s.SetRoles(t.Context(), "alice", []string{"admin"}); err != nil {
		t.Error(err)
	}
	if roles := phone.principal().Roles; len(roles) != 1 || roles[0] != "admin" {
		t.Errorf("roles %q", roles)
	}
	if subject, err := s.SessionAlive(t.Context(), p.SessionHandle); subject != "alice" || err != nil {
		t.Errorf("SessionAlive: %q, %v", subject, err)
	}
	guest.wants(200, "/end?user=alice&handle="+p.SessionHandle)
	phone.wants(401, "/me")
	before := *guest
	guest.wants(200, "/others")
	guest.wants(200, "/me")
	tablet.wants(401, "/me")
	before.wants(401, "/me")
	guest.wants(200, "/login?user=alice") // again, and a new cookie
	old := *guest
	guest.wants(200, "/logout")
	old.wants(401, "/me")
	again := s.signedIn(t, "alice")
	again.wants(200, "/everywhere?user=alice")
	again.wants(401, "/me")
	s.signedIn(t, "alice").wants(200, "/me")

	token := middleware.Principal{Issuer: "https://id.example", Subject: "alice", TokenHandle: "a handle of any length, of another issuer"}
	for _, v := range []middleware.Revocation{
		{TokenHandle: token.TokenHandle}, {Subject: token.Subject}, {SessionHandle: "a session of another issuer"},
	} {
		if err := list.Revoke(t.Context(), v); err != nil {
			t.Error(err)
		}
	}
	if revoked, err := list.Revoked(t.Context(), token); !revoked || err != nil {
		t.Errorf("the token: revoked %v, %v", revoked, err)
	}
}
