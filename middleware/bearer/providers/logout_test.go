package providers

import (
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// A user who signs out in one browser keeps the sockets of the other (OpenID Connect Back-Channel
// Logout 1.0 §2.4, by sid).
func TestASignOutAtTheProviderEndsTheSocketsOfItsSession(t *testing.T) {
	t.Parallel()
	s := listen(t)
	p := startOIDCProvider(t, s.at+"/logout")
	tokens := authenticator(t, p, middleware.NewRevocations())
	logout, err := bearer.NewBackChannelLogout(bearer.BackChannelLogoutConfig{Tokens: tokens, Clients: []string{"page"}, SessionsOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	s.serve(tokens, logout)
	b, other := newBrowser(t, p), newBrowser(t, p)
	first, second := b.signIn(here), other.signIn(here)
	later := b.refresh(here, first.Refresh)
	c, _ := s.opens(first.Access)
	d, _ := s.opens(later.Access)
	kept, _ := s.opens(second.Access)
	b.signOut()
	for name, c := range map[string]string{"of the sign-in": ends(c), "of the token fetched later": ends(d)} {
		if c != "3000 revoked" {
			t.Errorf("the socket %s ends with %s, want 3000 revoked", name, c)
		}
	}
	s.refuses("its token", first.Access, "401 credential_revoked", "revoked")
	s.who(kept)
	s.opens(second.Access)
}
