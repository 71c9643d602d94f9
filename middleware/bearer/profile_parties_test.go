package bearer_test

import (
	"crypto/elliptic"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware/bearer"
)

// Audience, Clients and the tenants say for whom and from whom a token may be.
func TestPartiesOfAToken(t *testing.T) {
	t.Parallel()
	const template = "https://id.example/{tenant}/v2.0"
	tenants := func(c *bearer.Config) {
		c.Profile.Tenant, c.Issuer, c.Tenants = "tid", template, []string{"t1", "t2"}
	}
	of := func(tid, iss string) object { return ownClaims().with("tid", tid).with("iss", iss) }
	for _, tt := range []struct {
		name   string
		change func(*bearer.Config)
		claims object
		want   string
	}{
		{
			"one of two audiences", func(c *bearer.Config) { c.Audience = []string{"https://other.example", audience} },
			ownClaims(), "accepted",
		},
		{"none of two audiences", func(c *bearer.Config) { c.Audience = []string{"a", "b"} }, ownClaims(), invalid},
		{"the client is on the list", func(c *bearer.Config) { c.Clients = []string{"web", "app"} }, ownClaims(), "accepted"},
		{"the client is not on the list", func(c *bearer.Config) { c.Clients = []string{"web"} }, ownClaims(), invalid},
		{
			"a list of clients, and a token without one",
			func(c *bearer.Config) { c.Clients, c.Profile.Optional = []string{"app"}, []string{"client_id"} },
			ownClaims().without("client_id"), invalid,
		},
		{
			"NoAudience: the client decides",
			func(c *bearer.Config) { c.Profile.NoAudience, c.Clients, c.Audience = true, []string{"app"}, nil },
			ownClaims().without("aud"), "accepted",
		},
		{
			"NoAudience: another client",
			func(c *bearer.Config) { c.Profile.NoAudience, c.Clients, c.Audience = true, []string{"web"}, nil },
			ownClaims().without("aud"), invalid,
		},
		{
			"NoAudience: an aud for another service is respected if Audience is set",
			func(c *bearer.Config) { c.Profile.NoAudience, c.Clients = true, []string{"app"} }, ownClaims().with("aud", "other"), invalid,
		},
		{
			"NoAudience: the aud of this service",
			func(c *bearer.Config) { c.Profile.NoAudience, c.Clients = true, []string{"app"} }, ownClaims(), "accepted",
		},

		{"Tenant: on the list", tenants, of("t2", "https://id.example/t2/v2.0"), "accepted"},
		{"Tenant: not on the list", tenants, of("t3", "https://id.example/t3/v2.0"), invalid},
		{"Tenant: the claim lies about the issuer", tenants, of("t1", "https://id.example/t3/v2.0"), invalid},
		{"Tenant: the issuer lies about the tenant", tenants, of("t3", "https://id.example/t1/v2.0"), invalid},
		{"Tenant: no claim", tenants, ownClaims().with("iss", "https://id.example/t1/v2.0"), invalid},
		{"Tenant: not a string", tenants, ownClaims().with("tid", 1).with("iss", "https://id.example/1/v2.0"), invalid},
		{"Tenant: empty", tenants, of("", "https://id.example//v2.0"), invalid},
		{"Tenant: the template itself", tenants, of("{tenant}", template), invalid},
		{"Tenant: something behind the issuer", tenants, of("t1", "https://id.example/t1/v2.0/"), invalid},
		{"Tenant: a path in the tenant", tenants, of("t1/../t3", "https://id.example/t1/../t3/v2.0"), invalid},
		{
			"TenantAllowed: asked about the others",
			func(c *bearer.Config) {
				tenants(c)
				c.TenantAllowed = func(tenant string) bool { return strings.HasPrefix(tenant, "customer-") }
			},
			of("customer-7", "https://id.example/customer-7/v2.0"), "accepted",
		},
		{
			"TenantAllowed: says no",
			func(c *bearer.Config) { tenants(c); c.TenantAllowed = func(string) bool { return false } },
			of("t3", "https://id.example/t3/v2.0"), invalid,
		},
		{
			"TenantAllowed: is not asked about a lying claim",
			func(c *bearer.Config) { tenants(c); c.TenantAllowed = func(string) bool { return true } },
			of("t3", "https://id.example/t4/v2.0"), invalid,
		},
		{
			"Tenant: a Profile with a tenant and one issuer",
			func(c *bearer.Config) { c.Profile.Tenant = "tid" }, ownClaims(), "accepted",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := config()
			cfg.Profile = own()
			tt.change(&cfg)
			p, err := newAuthenticator(t, cfg).Authenticate(request(token(ownHeader(), tt.claims)))
			if got := outcome(err); got != tt.want {
				t.Errorf("%s, want %s: %v", got, tt.want, err)
			}
			if err == nil && p.Issuer != tt.claims["iss"] {
				t.Errorf("the principal's issuer is %q", p.Issuer)
			}
		})
	}
}

// Profile.NoKeyID: a token without kid is for the one key of its alg.
func TestTokensWithoutKid(t *testing.T) {
	t.Parallel()
	second := ecKeyOf(elliptic.P256())
	for _, tt := range []struct {
		name   string
		set    []byte
		header object
		want   string
	}{
		{"one key of the alg", keys(jwk("ec", ecKey()), jwk("rsa", rsaKey())), ownHeader().without("kid"), "accepted"},
		{"one key, which has no kid either", keys(jwk("", ecKey()).without("kid")), ownHeader().without("kid"), "accepted"},
		{"two keys of the alg", keys(jwk("ec", ecKey()), jwk("ec2", second)), ownHeader().without("kid"), invalid},
		{"one key twice, under two kids", keys(jwk("ec", ecKey()), jwk("ec2", ecKey())), ownHeader().without("kid"), "accepted"},
		{"no key of the alg", keys(jwk("rsa", rsaKey())), ownHeader().without("kid"), invalid},
		{"one key of the alg, of another issuer", keys(jwk("ec", second)), ownHeader().without("kid"), invalid},
		{"a kid is still looked up", keys(jwk("ec", ecKey())), ownHeader().with("kid", "other"), invalid},
		{"an empty kid counts as none", keys(jwk("ec", ecKey())), ownHeader().with("kid", ""), "accepted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := config()
			cfg.Profile, cfg.Keys = own(), tt.set
			cfg.Profile.NoKeyID = true
			a := newAuthenticator(t, cfg)
			for range 2 { // the second answer may come from the cache
				_, err := a.Authenticate(request(token(tt.header, ownClaims())))
				if got := outcome(err); got != tt.want {
					t.Errorf("%s, want %s: %v", got, tt.want, err)
				}
			}
		})
	}
}

// A token without kid does not say that its key is new: the signature does.
func TestRotationWithoutKid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuerInMemory{}
		i.serves(keys(jwk("", ecKey()).without("kid")))
		cfg := i.config()
		cfg.Profile = own()
		cfg.Profile.NoKeyID = true
		a := newAuthenticator(t, cfg)
		old := token(ownHeader().without("kid"), ownClaims())
		fresh := sign(otherEC(), "ES256", ownHeader().without("kid").String(), ownClaims().String())
		forged := sign(ecKeyOf(elliptic.P256()), "ES256", ownHeader().without("kid").String(), ownClaims().String())
		if err := errOf(a, old); err != nil {
			t.Fatal(err)
		}
		i.serves(keys(jwk("", otherEC()).without("kid")))
		if err := errOf(a, fresh); err != nil || i.fetches.Load() != 2 {
			t.Errorf("the new key: %v after %d fetches", err, i.fetches.Load())
		}
		if got := outcomeOf(a, old); got != invalid {
			t.Errorf("the removed key: %s", got)
		}
		for range 100 {
			if got := outcomeOf(a, forged); got != invalid && got != unavailable {
				t.Fatalf("a forged token: %s", got)
			}
		}
		if n := i.fetches.Load(); n > 4 {
			t.Errorf("%d fetches in one cool-down", n)
		}
		i.serves(keys(jwk("rsa", rsaKey()))) // another alg
		other := sign(rsaKey(), "RS256", `{"alg":"RS256","typ":"JWT"}`, ownClaims().String())
		if got := outcomeOf(a, other); got != unavailable {
			t.Errorf("the cool-down is used up: %s", got)
		}
		time.Sleep(10 * time.Second)
		if err := errOf(a, other); err != nil {
			t.Errorf("a key for another alg: %v", err)
		}
	})
}

func TestNewRefusesProfiles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*bearer.Config)
		want   string // "" for accepted
	}{
		{"a Profile of one's own", func(c *bearer.Config) { c.Profile = own() }, ""},
		{
			"a typ of ID tokens and nothing that tells", func(c *bearer.Config) { c.Profile.Types = []string{"JWT"} },
			`bearer: Profile.Types: ["JWT"] are also those of ID tokens: write in Require or Forbid`,
		},
		{"no typ and nothing that tells", func(c *bearer.Config) { c.Profile.Types = []string{"at+jwt", ""} }, "bearer: Profile.Types: "},
		{"only at+jwt", func(c *bearer.Config) { c.Profile.Types = []string{"application/at+jwt", "AT+JWT"} }, ""},
		{
			"an Optional that is not one", func(c *bearer.Config) { c.Profile.Optional = []string{"exp"} },
			`bearer: Profile.Optional: "exp" is not one of iat, jti and client_id`,
		},
		{
			"a Claim without a name in Require", func(c *bearer.Config) { c.Profile.Require = []bearer.Claim{{}} },
			"bearer: Profile.Require: a Claim without a name",
		},
		{
			"a Claim with an empty name in Forbid", func(c *bearer.Config) { c.Profile.Forbid = []bearer.Claim{bearer.Has("")} },
			"bearer: Profile.Forbid: a Claim without a name",
		},
		{"an empty path of roles", func(c *bearer.Config) { c.Profile.Roles = [][]string{{}} }, "bearer: Profile.Roles: "},
		{"an empty name in a path of roles", func(c *bearer.Config) { c.Profile.Roles = [][]string{{"a", ""}} }, "bearer: Profile.Roles: "},
		{"a lifetime above 30 days", func(c *bearer.Config) { c.Profile.MaxLifetime = 721 * 3600e9 }, "bearer: Profile.MaxLifetime: "},
		{"a negative lifetime", func(c *bearer.Config) { c.Profile.MaxLifetime = -1 }, "bearer: Profile.MaxLifetime: "},
		{"tokens above 32 KiB", func(c *bearer.Config) { c.Profile.MaxBytes = 32<<10 + 1 }, "bearer: Profile.MaxBytes: "},
		{"negative tokens", func(c *bearer.Config) { c.Profile.MaxBytes = -1 }, "bearer: Profile.MaxBytes: "},

		{
			"Cognito without clients", func(c *bearer.Config) { c.Profile = bearer.Cognito() },
			"bearer: Clients: Cognito access tokens have no aud: write the ids of the clients that may come here",
		},
		{"Cognito with clients", func(c *bearer.Config) { c.Profile, c.Clients, c.Audience = bearer.Cognito(), []string{"a"}, nil }, ""},
		{
			"Keycloak without an audience", func(c *bearer.Config) { c.Profile, c.Audience = bearer.Keycloak(), nil },
			"bearer: Audience: it is empty: write this service's name, which is in the aud of Keycloak access tokens for it",
		},
		{"no audience", func(c *bearer.Config) { c.Audience = nil }, "aud of RFC 9068 access tokens"},
		{"an audience twice", func(c *bearer.Config) { c.Audience = []string{"a", "a"} }, "bearer: Audience: "},
		{"an empty client", func(c *bearer.Config) { c.Clients = []string{""} }, "bearer: Clients: "},
		{"a tenant with a line break", func(c *bearer.Config) { entra(c); c.Tenants = []string{"a\n"} }, "bearer: Tenants: "},

		{"tenants", entra, ""},
		{
			"a template without tenants", func(c *bearer.Config) { entra(c); c.Tenants = nil },
			"bearer: Tenants: Issuer has {tenant} in it: write the accepted tenants, or set TenantAllowed",
		},
		{
			"a template with Discovery", func(c *bearer.Config) { entra(c); c.Keys, c.Discovery = nil, true },
			"bearer: Discovery: it needs one issuer",
		},
		{
			"tenants without a template", func(c *bearer.Config) { entra(c); c.Issuer = issuer },
			"bearer: Tenants: Issuer has no {tenant} in it",
		},
		{
			"a template and a Profile without tenants", func(c *bearer.Config) { entra(c); c.Profile = bearer.Auth0() },
			"bearer: Issuer: {tenant} in it needs a Profile with a Tenant, and the one of Auth0 has none",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := config()
			tt.change(&cfg)
			a, err := bearer.New(cfg)
			switch {
			case tt.want == "" && err != nil:
				t.Fatal(err)
			case tt.want != "" && (err == nil || a != nil || !strings.Contains(err.Error(), tt.want)):
				t.Fatalf("got  %v\nwant an error about %s", err, tt.want)
			}
		})
	}
}

func entra(c *bearer.Config) {
	c.Profile, c.Issuer, c.Tenants = bearer.EntraV2(), "https://login.microsoftonline.com/{tenant}/v2.0", []string{entraTenant}
}

func TestNewReportsEverythingOfAProfile(t *testing.T) {
	t.Parallel()
	_, err := bearer.New(bearer.Config{
		Profile: bearer.Profile{
			Name: "Own", Types: []string{"JWT"}, Optional: []string{"sub"}, Roles: [][]string{{}},
			NoAudience: true, MaxLifetime: -1, MaxBytes: 7,
		},
		Issuer: "https://id.example/{tenant}", Keys: goodKeys(), MaxLifetime: 1e9,
	})
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Profile.Types", "Profile.Optional", "Profile.Roles", "Profile.MaxLifetime", "Profile.MaxBytes",
		"Clients: Own access tokens have no aud", "Issuer: {tenant}",
	} {
		if !strings.Contains(err.Error(), "bearer: "+want) {
			t.Errorf("nothing about %s in\n%v", want, err)
		}
	}
}

// Entra ID publishes keys of all tenants, and keys of one: such a key must not sign for another
// ("Access tokens", section "Validate the issuer", of Microsoft's documentation).
func TestKeyOfAnotherTenant(t *testing.T) {
	const tenant, personal = "72f988bf-86f1-41af-91ab-2d7cd011db47", "9188040d-6c67-4c5b-b112-36a304b66dad"
	for _, tt := range []struct{ name, issuer, want string }{
		{"of all tenants", "https://login.microsoftonline.com/{tenantid}/v2.0", "accepted"},
		{"of this tenant", "https://login.microsoftonline.com/" + tenant + "/v2.0", "accepted"},
		{"without an issuer", "", "accepted"},
		{"of another tenant", "https://login.microsoftonline.com/" + personal + "/v2.0", "401 credential_invalid"},
		{"of a tenant whose id begins so", "https://login.microsoftonline.com/" + tenant + "0/v2.0", "401 credential_invalid"},
	} {
		for _, issuer := range []string{
			"https://login.microsoftonline.com/{tenant}/v2.0",
			"https://login.microsoftonline.com/" + tenant + "/v2.0",
		} {
			t.Run(tt.name+", "+issuer, func(t *testing.T) {
				key := jwk("ec", ecKey())
				if tt.issuer != "" {
					key = key.with("issuer", tt.issuer)
				}
				cfg := bearer.Config{Profile: bearer.EntraV2(), Issuer: issuer, Audience: []string{audience}, Keys: keys(key)}
				if strings.Contains(issuer, "{") {
					cfg.Tenants = []string{tenant}
				}
				a := newAuthenticator(t, cfg)
				got := outcomeOf(a, token(header().with("typ", "JWT"), claims().
					with("iss", "https://login.microsoftonline.com/"+tenant+"/v2.0").with("tid", tenant).with("ver", "2.0").
					with("azp", "app").with("azpacr", "0").with("scp", "read").with("uti", "u").without("client_id").without("jti")))
				if got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			})
		}
	}
}
