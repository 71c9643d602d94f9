package providers

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/securews/securews/middleware/bearer"
)

// A socket opens with the token of a service, with that of a user who signed in on a page, and
// with the one that the page fetched later.
func TestASocketOpensWithATokenOfEachProvider(t *testing.T) {
	eachProvider(t, func(t *testing.T, p provider) {
		s, b, c := newSite(t, p), newBrowser(t, p), p.clients()
		service, signedIn := b.service(here), b.signIn(here)
		refreshed := b.refresh(here, signedIn.Refresh)
		if signedIn.Access == refreshed.Access {
			t.Error("the page has the same token again")
		}
		session := "" // zitadel/oidc has none
		if sid := claim(t, signedIn.ID, "sid"); sid != "" {
			session = bearer.SessionHandle(p.issuer(), sid)
		}
		for _, tt := range []struct {
			name, token string
			want        user
		}{
			{"the service", service, user{c.service, c.service, "", c.scopes}},
			{"the user, signed in", signedIn.Access, user{c.subject, c.page, session, c.scopes}},
			{"the user, with a token that the page fetched later", refreshed.Access, user{c.subject, c.page, session, c.scopes}},
		} {
			if _, who := s.opens(tt.token); who != tt.want {
				t.Errorf("%s is %+v, want %+v", tt.name, who, tt.want)
			}
		}
	})
}

func TestASocketOpensWithATokenOfAnIssuerOnTheDevelopersMachine(t *testing.T) {
	t.Parallel()
	p := startZitadel(t, "http")
	s, b := newSite(t, p), newBrowser(t, p)
	signedIn := b.signIn(here)
	s.opens(signedIn.Access)
	s.refuses("an ID token", signedIn.ID, "401 credential_invalid", p.causes().idToken)
}

// claim returns a string among the claims of a token, without any check; "" if there is none.
func claim(t testing.TB, token, name string) string {
	t.Helper()
	value, _ := part(t, token, 1)[name].(string)
	return value
}

func kid(t testing.TB, token string) any {
	t.Helper()
	return part(t, token, 0)["kid"]
}

// part is the header of a token, or its claims.
func part(t testing.TB, token string, n int) (members map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("a token of %d parts", len(parts))
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[n])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	return members
}
