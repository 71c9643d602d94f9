package bearer_test

import (
	"net/http"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-the-signing-key-issuer: the key set of all
// tenants names in each key the issuer that uses it. The key of personal accounts, 9188040d…, must not
// sign for an organization, as an attacker had it do in 2023 (Storm-0558).
func TestAKeyOfOneTenantSignsForNoOther(t *testing.T) {
	t.Parallel()
	const (
		template = "https://login.microsoftonline.com/{tenantid}/v2.0"
		personal = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"
	)
	v2, v1 := entraV2(), entraV1()
	several := func(c *bearer.Config) {
		c.Issuer, c.Tenants = "https://login.microsoftonline.com/{tenant}/v2.0",
			[]string{entraTenant, "9188040d-6c67-4c5b-b112-36a304b66dad"}
	}
	one := func(*bearer.Config) {}
	for _, tt := range []struct {
		name      string
		of        product
		change    func(*bearer.Config)
		keyIssuer any
		want      string
	}{
		{name: "several tenants, a key without issuer", of: v2, change: several, want: "accepted"},
		{name: "several tenants, the key of all", of: v2, change: several, keyIssuer: template, want: "accepted"},
		{name: "several tenants, the key of this one", of: v2, change: several, keyIssuer: v2.issuer, want: "accepted"},
		{name: "several tenants, the key of personal accounts", of: v2, change: several, keyIssuer: personal, want: invalid},
		{
			name: "several tenants, a key of no tenant", of: v2,
			change: several, keyIssuer: "https://login.microsoftonline.com", want: invalid,
		},
		{
			name: "several tenants, a key with a tenant that begins with this one",
			of:   v2, change: several, keyIssuer: "https://login.microsoftonline.com/" + entraTenant + "x/v2.0", want: invalid,
		},
		{name: "one tenant, the key of all", of: v2, change: one, keyIssuer: template, want: "accepted"},
		{name: "one tenant, the key of personal accounts", of: v2, change: one, keyIssuer: personal, want: invalid},
		{name: "version 1.0, the key of all", of: v1, change: one, keyIssuer: template, want: "accepted"},
		{name: "version 1.0, the key of this one, which names version 2.0", of: v1, change: one, keyIssuer: v2.issuer, want: "accepted"},
		{name: "version 1.0, the key of personal accounts", of: v1, change: one, keyIssuer: personal, want: invalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := configFor(&tt.of, tt.of.profile)
			key := jwk("rsa", rsaKey())
			if tt.keyIssuer != nil {
				key = key.with("issuer", tt.keyIssuer)
			}
			cfg.Keys, cfg.Revocations = keys(key), middleware.NewRevocations()
			tt.change(&cfg)
			a := newAuthenticator(t, cfg)
			access := timed(tt.of.access)
			if got := outcomeOf(a, signed(tt.of.header, access)); got != tt.want {
				t.Errorf("an access token: %s, want %s", got, tt.want)
			}
			for name, lie := range map[string]object{
				"no tid":             access.without("tid"),
				"the tid of the key": access.with("tid", "9188040d-6c67-4c5b-b112-36a304b66dad"),
			} {
				if got := outcomeOf(a, signed(tt.of.header, lie)); tt.want == invalid && got != invalid {
					t.Errorf("an access token with %s: %s", name, got)
				}
			}
			h := newBackChannelLogout(t, bearer.BackChannelLogoutConfig{Tokens: a, Clients: []string{client}})
			logout := logoutClaims().with("iss", tt.of.issuer).with("tid", entraTenant)
			want := http.StatusOK
			if tt.want != "accepted" {
				want = http.StatusBadRequest
			}
			if got := answerOf(h, logoutPost(signed(object{"alg": "RS256", "typ": "logout+jwt"}, logout))).StatusCode; got != want {
				t.Errorf("a logout token: %d, want %d", got, want)
			}
		})
	}
}

// The issuer of a key may change in the key set.
func TestAKeyBecomesThatOfOneTenant(t *testing.T) {
	t.Parallel()
	p := entraV2()
	e := newEndpoint(t, serves(keys(jwk("rsa", rsaKey()))))
	cfg := configFor(&p, p.profile)
	cfg.Keys, cfg.JWKS, cfg.HTTPClient = nil, e.URL, e.Client()
	a := newAuthenticator(t, cfg)
	tok := signed(p.header, timed(p.access))
	if got := outcomeOf(a, tok); got != "accepted" {
		t.Fatal(got)
	}
	e.becomes(serves(keys(jwk("rsa", rsaKey()).with("issuer", "https://login.microsoftonline.com/another/v2.0"), jwk("new", otherRSA()))))
	_ = outcomeOf(a, sign(otherRSA(), "RS256", p.header.with("kid", "new").String(), timed(p.access).String())) // fetches
	if got := outcomeOf(a, tok); got != invalid {
		t.Errorf("a token that was accepted before: %s", got)
	}
}
