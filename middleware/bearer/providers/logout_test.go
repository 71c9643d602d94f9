package providers

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/session"
)

// A user who signs out in one browser keeps the sockets of the other (OpenID Connect Back-Channel
// Logout 1.0 §2.4, by sid). Those of the first end: the ones of the page's tokens, and the one of
// the cookie session that a server began with its ID token.
func TestASignOutAtTheProviderEndsTheSocketsOfItsSession(t *testing.T) {
	t.Parallel()
	s := listen(t)
	p := startOIDCProvider(t, s.at+"/logout")
	sessions, err := session.New(session.Config{})
	if err != nil {
		t.Fatal(err)
	}
	tokens := authenticator(t, p, sessions.Revocations())
	logout, err := bearer.NewBackChannelLogout(bearer.BackChannelLogoutConfig{
		Tokens: tokens, Clients: []string{"page"}, Revocations: sessions.Revocations(), SessionsOnly: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.serve(map[string]http.Handler{"POST /logout": logout, "POST /login": sessions.Handler(login(sessions))}, tokens, sessions)

	b, other := newBrowser(t, p), newBrowser(t, p)
	first, second := b.signIn(here), other.signIn(here)
	later := b.refresh(here, first.Refresh)
	cookie, otherCookie := s.login(b, first.ID), s.login(other, second.ID)
	ending := map[string]*websocket.Conn{"the cookie": s.opensWith(cookie)}
	ending["the token of the sign-in"], _ = s.opens(first.Access)
	ending["the token fetched later"], _ = s.opens(later.Access)
	kept, _ := s.opens(second.Access)
	keptByCookie := s.opensWith(otherCookie)

	b.signOut()
	for name, c := range ending {
		if got := ends(c); got != "3000 revoked" {
			t.Errorf("the socket of %s ends with %s, want 3000 revoked", name, got)
		}
	}
	s.refuses("the token of the sign-in", first.Access, "401 credential_revoked", "revoked")
	if c, refused := s.dial(cookie); c != nil || refused != "401 credential_revoked" {
		t.Errorf("the cookie: %q, want 401 credential_revoked", refused)
	}
	s.who(kept)
	s.who(keptByCookie)
	s.opens(second.Access)
}

// login begins a session with the claims of an ID token.
func login(sessions *session.Manager) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := sessions.Login(r.Context(), session.Identity{Subject: "account 7", Provider: session.ProviderSignIn{
			Issuer: r.FormValue("iss"), Subject: r.FormValue("sub"), SessionID: r.FormValue("sid"),
		}})
		if err != nil {
			middleware.Refuse(w, r, err)
		}
	})
}

// login returns the cookie of the session, and the page's origin.
func (s *site) login(b *browser, token string) http.Header {
	s.t.Helper()
	form := url.Values{}
	for _, name := range []string{"iss", "sub", "sid"} {
		form.Set(name, claim(s.t, token, name))
	}
	answer := b.post(s.at+"/login", form)
	if answer.StatusCode != http.StatusOK || len(answer.Cookies()) != 1 {
		s.t.Fatalf("/login: %s", answer.Status)
	}
	cookie := answer.Cookies()[0]
	return http.Header{"Cookie": {cookie.Name + "=" + cookie.Value}, "Origin": {"https://app.example"}}
}
