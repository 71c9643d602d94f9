package providers

import (
	"strings"
	"testing"
)

func TestTokensThatOpenNoSocket(t *testing.T) {
	eachProvider(t, func(t *testing.T, p provider) {
		s, b := newSite(t, p), newBrowser(t, p)
		signedIn := b.signIn(here)
		for _, tt := range []struct{ name, token, refused, cause string }{
			{"an ID token", signedIn.ID, "401 credential_invalid", p.causes().idToken},
			{"an access token for another audience", b.signIn(elsewhere).Access, "401 credential_invalid", p.causes().audience},
			{"a refresh token", signedIn.Refresh, "401 credential_invalid", "not a compact JWS"},
			{
				"an access token of another user's signature",
				spliced(signedIn.Access, b.service(here)), "401 credential_invalid", "signature",
			},
		} {
			s.refuses(tt.name, tt.token, tt.refused, tt.cause)
		}
		s.opens(signedIn.Access)
	})
}

// spliced is a token with the signature of another.
func spliced(token, other string) string {
	return token[:strings.LastIndexByte(token, '.')] + other[strings.LastIndexByte(other, '.'):]
}

func TestAnExpiredTokenEndsItsSocketAndOpensNoOther(t *testing.T) {
	eachProvider(t, func(t *testing.T, p provider) {
		s, b := newSite(t, p), newBrowser(t, p)
		signedIn := b.signIn(brief)
		c, _ := s.opens(signedIn.Access)
		if got := ends(c); got != "3000 expired" {
			t.Errorf("the socket ends with %s, want 3000 expired", got)
		}
		s.refuses("the same token", signedIn.Access, "401 credential_expired", "expired")
		s.opens(b.refresh(brief, signedIn.Refresh).Access)
	})
}

// The provider publishes a new key and signs with it, and some time later withdraws the old one.
func TestARotatedKey(t *testing.T) {
	eachProvider(t, func(t *testing.T, p provider) {
		s, b := newSite(t, p), newBrowser(t, p)
		before := b.signIn(here)
		c, _ := s.opens(before.Access)
		p.rotate()
		after := b.refresh(here, before.Refresh)
		if kid(t, before.Access) == kid(t, after.Access) {
			t.Error("the provider signs with the old key")
		}
		kept, _ := s.opens(after.Access)
		s.opens(before.Access)
		p.withdraw()
		if got := ends(c); got != "3000 expired" {
			t.Errorf("the socket of the withdrawn key ends with %s, want 3000 expired", got)
		}
		s.refuses("a token of the withdrawn key", before.Access, "401 credential_invalid", "kid")
		s.who(kept)
		s.opens(after.Access)
	})
}
