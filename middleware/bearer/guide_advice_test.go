package bearer_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// The guide has these lines, with the effect that it describes.
func TestAdviceOfTheGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	says := func(t *testing.T, line string) {
		t.Helper()
		if !strings.Contains(string(text), line) {
			t.Errorf("the guide has not %s", line)
		}
	}

	t.Run("the roles of the client alone, at Keycloak", func(t *testing.T) {
		t.Parallel()
		says(t, `p.Roles = [][]string{{"resource_access", "{audience}", "roles"}}`)
		kc := keycloak()
		p := bearer.Keycloak()
		p.Roles = [][]string{{"resource_access", "{audience}", "roles"}}
		access := timed(kc.access).with("realm_access", object{"roles": []string{"admin"}}).
			with("resource_access", object{kc.audience: object{"roles": []string{"refund"}}})
		got, err := newAuthenticator(t, configFor(&kc, p)).Authenticate(request(signed(kc.header, access)))
		if err != nil || !slices.Equal(got.Roles, []string{"refund"}) {
			t.Errorf("%q, %v", got.Roles, err)
		}
	})

	t.Run("services by their client id, at Entra ID", func(t *testing.T) {
		t.Parallel()
		says(t, `p.Require = []bearer.Claim{bearer.Has("ver", "2.0"), bearer.Has("azp"), bearer.Has("azpacr")}`)
		entra := entraV2()
		p := bearer.EntraV2()
		p.Require = []bearer.Claim{bearer.Has("ver", "2.0"), bearer.Has("azp"), bearer.Has("azpacr")}
		cfg := configFor(&entra, p)
		cfg.Clients = []string{"0a1b"}
		a := newAuthenticator(t, cfg)
		bare := timed(entra.app).without("roles").without("scp")
		for client, want := range map[string]string{"0a1b": "accepted", "0a1c": invalid} {
			if got := outcomeOf(a, signed(entra.header, bare.with("azp", client))); got != want {
				t.Errorf("%s: %s, want %s", client, got, want)
			}
		}
	})

	t.Run("the issuer of the page, reached by another name", func(t *testing.T) {
		t.Parallel()
		says(t, `return new(net.Dialer).DialContext(ctx, network, "keycloak:8080")`)
		const page = "http://localhost:8080/realms/shop"
		container := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/realms/shop/.well-known/openid-configuration":
				_, _ = w.Write([]byte(object{"issuer": page, "jwks_uri": page + "/certs"}.String()))
			case "/realms/shop/certs":
				_, _ = w.Write(goodKeys())
			}
		}))
		t.Cleanup(container.Close)
		there := strings.TrimPrefix(container.URL, "http://")
		a := newAuthenticator(t, bearer.Config{
			Issuer: page, Audience: []string{audience}, Discovery: true, DangerouslyAllowLocalHTTP: true,
			HTTPClient: &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context,
				network, _ string,
			) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, there)
			}}},
		})
		if got := outcomeOf(a, token(header(), claims().with("iss", page))); got != "accepted" {
			t.Error(got)
		}
	})
}

// Access tokens end at a sign-out only if their own Config has Revocations: those of the handler
// are of cookie sessions.
func TestBackChannelLogoutNeedsTheRevocationsOfTheTokens(t *testing.T) {
	t.Parallel()
	for want, list := range map[string]middleware.Revocations{"accepted": nil, "401 credential_revoked": middleware.NewRevocations()} {
		cfg := config()
		cfg.Revocations = list
		a := newAuthenticator(t, cfg)
		h, err := bearer.NewBackChannelLogout(bearer.BackChannelLogoutConfig{
			Tokens: a, Clients: []string{client}, Revocations: middleware.NewRevocations(), SessionsOnly: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		access := token(header(), claims().with("sid", "s1"))
		if got := outcomeOf(a, access); got != "accepted" {
			t.Fatal(got)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, logoutPost(logoutToken(logoutClaims())))
		if got := outcomeOf(a, access); w.Code != http.StatusOK || got != want {
			t.Errorf("%d, %s, want %s", w.Code, got, want)
		}
	}
}
