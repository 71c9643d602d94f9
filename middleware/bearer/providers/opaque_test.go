package providers

import (
	"log/slog"
	"testing"
	"time"

	"github.com/securews/securews/middleware/bearer"
)

// introspector asks oidc-provider about its opaque tokens (RFC 7662). It remembers no answer.
func introspector(t testing.TB, p *oidcProvider) *bearer.Introspector {
	t.Helper()
	tokens, err := bearer.NewIntrospector(bearer.IntrospectionConfig{
		Issuer: p.issuer(), Discovery: true, ClientID: "api", ClientSecret: "secret of the api",
		Audience: []string{"https://api.example"}, ClientPrefix: "client:", CacheFor: time.Nanosecond, Leeway: time.Nanosecond,
		HTTPClient: client(t), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestAnOpaqueTokenIsGoodUntilTheProviderRevokesIt(t *testing.T) {
	t.Parallel()
	p := startOIDCProvider(t, "https://app.example/logout")
	s, b := listen(t), newBrowser(t, p)
	s.serve(nil, introspector(t, p))
	service, signedIn, other := b.service(opaque), b.signIn(opaque), newBrowser(t, p).signIn(opaque)
	session := bearer.SessionHandle(p.issuer(), claim(t, signedIn.ID, "sid"))
	for _, tt := range []struct {
		name, token string
		want        user
	}{
		{"the service", service, user{"client:service", "service", "", "read"}},
		{"the user", signedIn.Access, user{"alice", "page", session, "read"}},
	} {
		if _, who := s.opens(tt.token); who != tt.want {
			t.Errorf("%s is %+v, want %+v", tt.name, who, tt.want)
		}
	}
	for _, tt := range []struct{ name, token, cause string }{
		{"an opaque token for another audience", b.signIn(opaqueElsewhere).Access, `aud is "https://other.example"; want one of`},
		{"an ID token", signedIn.ID, "does not introspect tokens of this type"},
		{"a refresh token", signedIn.Refresh, "token_type"},
		{"an invented token", "invented", "not active"},
	} {
		s.refuses(tt.name, tt.token, "401 credential_invalid", tt.cause)
	}
	c, _ := s.opens(signedIn.Access)
	kept, _ := s.opens(other.Access)
	b.revoke(signedIn.Access)
	if got := ends(c); got != "3000 revoked" {
		t.Errorf("the socket of the revoked token ends with %s, want 3000 revoked", got)
	}
	s.refuses("the revoked token", signedIn.Access, "401 credential_invalid", "not active")
	s.who(kept)
}

// A provider may give one client JWTs and another opaque tokens.
func TestJWTsAndOpaqueTokensOfOneIssuer(t *testing.T) {
	t.Parallel()
	p := startOIDCProvider(t, "https://app.example/logout")
	s, b := listen(t), newBrowser(t, p)
	tokens, err := bearer.NewIssuers(authenticator(t, p, nil), introspector(t, p))
	if err != nil {
		t.Fatal(err)
	}
	s.serve(nil, tokens)
	jwt, reference := b.signIn(here), newBrowser(t, p).signIn(opaque)
	signedJWT, whoJWT := s.opens(jwt.Access)
	c, who := s.opens(reference.Access)
	if who.Session, whoJWT.Session = "", ""; who != whoJWT {
		t.Errorf("the opaque token is of %+v, and the JWT of %+v", who, whoJWT)
	}
	s.refuses("an ID token", jwt.ID, "401 credential_invalid", p.causes().idToken)
	b.revoke(reference.Access)
	if got := ends(c); got != "3000 revoked" {
		t.Errorf("the socket of the revoked token ends with %s, want 3000 revoked", got)
	}
	s.who(signedJWT)
	p.rotate()
	p.withdraw()
	if got := ends(signedJWT); got != "3000 expired" {
		t.Errorf("the socket of the withdrawn key ends with %s, want 3000 expired", got)
	}
	s.opens(b.refresh(here, jwt.Refresh).Access)
}
