package bearer_test

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware/bearer"
)

// cells says for each product and kind of token which Profile accepts it; a "." is 401
// credential_invalid.
//
//go:embed testdata/providers.txt
var cells string

// timed fills in the times of a token that was issued now.
func timed(c object) object {
	c = maps.Clone(c)
	for _, name := range []string{"iat", "nbf", "auth_time", "rat"} {
		if _, ok := c[name]; ok {
			c[name] = time.Now().Unix()
		}
	}
	c["exp"] = time.Now().Add(time.Hour).Unix()
	return c
}

func signed(h, c object) string {
	return sign(rsaKey(), "RS256", h.with("kid", "rsa").String(), c.String())
}

// kinds are the tokens of the table. The config has the issuer and the audience of the product.
var kinds = map[string]func(p *product) (token string){
	"access": func(p *product) string { return signed(p.header, timed(p.access)) },
	"other-form": func(p *product) string {
		if p.other == nil {
			return signed(p.header, timed(p.access))
		}
		return signed(p.otherHeader, timed(p.other))
	},
	"app-only": func(p *product) string { return signed(p.header, timed(p.app)) },
	// The audience must not be what refuses an ID token: one registration may be client and API.
	"id": func(p *product) string { return signed(p.header, timed(p.id).with("aud", p.audience)) },
	"bare-id": func(p *product) string { // after a refresh, or a sign-in without nonce
		return signed(p.header, timed(p.id).with("aud", p.audience).without("nonce").without("at_hash").without("c_hash"))
	},
	"other-issuer": func(p *product) string {
		return signed(p.header, timed(p.access).with("iss", p.issuer+"x"))
	},
	"other-audience": func(p *product) string {
		if _, has := p.access["aud"]; !has {
			return signed(p.header, timed(p.access).with("client_id", "another"))
		}
		return signed(p.header, timed(p.access).with("aud", "another"))
	},
	"other-client": func(p *product) string { return signed(p.header, timed(p.access)) }, // Config.Clients has another
	"no-kid": func(p *product) string {
		return sign(rsaKey(), "RS256", p.header.String(), timed(p.access).String())
	},
	"at-the-bound": func(p *product) string {
		return signed(p.header, timed(p.access).with("exp", time.Now().Add(bound(p)).Unix()))
	},
	"beyond-the-bound": func(p *product) string {
		return signed(p.header, timed(p.access).with("exp", time.Now().Add(bound(p)+time.Minute).Unix()))
	},
}

func bound(p *product) time.Duration {
	if p.profile.MaxLifetime > 0 {
		return p.profile.MaxLifetime
	}
	return 24 * time.Hour
}

// columns are the Profiles of the table, RFC 9068 last.
func columns() (names []string, profiles map[string]bearer.Profile) {
	profiles = map[string]bearer.Profile{"RFC9068": {}}
	for _, p := range documented() {
		names = append(names, p.name)
		profiles[p.name] = p.profile
	}
	return append(names, "RFC9068"), profiles
}

// configFor is the Config for the tokens of a product with a Profile.
func configFor(p *product, profile bearer.Profile) bearer.Config {
	cfg := bearer.Config{Profile: profile, Issuer: p.issuer, Audience: []string{p.audience}, Keys: goodKeys()}
	if profile.NoAudience {
		cfg.Clients = []string{p.client}
		if p.client == "" {
			cfg.Clients = []string{"no client"}
		}
	}
	return cfg
}

func TestWhichProfileAcceptsWhichToken(t *testing.T) {
	t.Parallel()
	names, profiles := columns()
	lines := strings.Split(strings.TrimSpace(cells), "\n")
	if got := strings.Fields(lines[0]); !slices.Equal(got, append([]string{"product", "token"}, names...)) {
		t.Fatalf("the columns are %v", got)
	}
	products := map[string]product{}
	for _, p := range documented() {
		products[p.name] = p
	}
	made := map[string]*bearer.Authenticator{}
	authenticatorFor := func(p product, name string, otherClient bool) *bearer.Authenticator {
		key := fmt.Sprint(p.name, name, otherClient)
		if made[key] == nil {
			cfg := configFor(&p, profiles[name])
			if otherClient {
				cfg.Clients = []string{"another"}
			}
			made[key] = newAuthenticator(t, cfg)
		}
		return made[key]
	}
	rows := map[string]bool{}
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		if len(fields) != 2+len(names) {
			t.Fatalf("a row with %d columns: %s", len(fields), line)
		}
		p, kind := products[fields[0]], fields[1]
		rows[p.name+" "+kind] = true
		tok := kinds[kind](&p)
		for i, name := range names {
			want := map[string]string{"yes": "accepted", ".": invalid}[fields[2+i]]
			_, err := authenticatorFor(p, name, kind == "other-client").Authenticate(request(tok))
			if got := outcome(err); got != want {
				t.Errorf("%s %s with the Profile of %s: %s, want %s (%v)", p.name, kind, name, got, want, err)
			}
			if err != nil {
				mustNotContain(t, "the cause", errors.Unwrap(err).Error(), tok, tok[strings.LastIndexByte(tok, '.'):])
			}
		}
	}
	for name := range products {
		for kind := range kinds {
			if !rows[name+" "+kind] {
				t.Errorf("no row for %s %s", name, kind)
			}
		}
	}
}

// An ID token with the claims of an access token, as an administrator may have added them, and
// without those that depend on the sign-in.
func TestDecoratedIDTokensAreRefused(t *testing.T) {
	t.Parallel()
	for _, p := range documented() {
		if p.name == "Firebase" {
			continue // it has no others
		}
		c := timed(p.id)
		for _, name := range []string{"nonce", "at_hash", "c_hash", "hd"} {
			c = c.without(name)
		}
		for name, value := range (object{
			"client_id": p.client,
			"azp":       p.client, "cid": p.client, "jti": "j", "scope": "a", "roles": []string{"a"},
		}) {
			if _, has := c[name]; !has {
				c[name] = value
			}
		}
		a := newAuthenticator(t, configFor(&p, p.profile))
		if _, err := a.Authenticate(request(signed(p.header, c.with("aud", p.audience)))); outcome(err) != invalid {
			t.Errorf("%s: %s", p.name, outcome(err))
		}
	}
}

// What becomes what, of the documented access tokens.
func TestWhatTheTokensOfProductsBecome(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		product       product
		subject       string
		scopes, roles []string
		session       string // the claim, before it is hashed
		client        string
	}{
		{
			product: auth0(), subject: "auth0|123456", scopes: []string{"openid", "profile", "read:patients", "read:admin"},
			roles: []string{"read:patients"}, client: "my_client_id",
		},
		{
			product: okta(), subject: "00uid4BxXw6I6TV4m0g3", scopes: []string{"openid", "email", "flights"},
			roles: []string{"Everyone"}, client: "nmdP1fcyvdVO11AL7ECm",
		},
		{
			product: keycloak(), subject: "36fa0f91-f94d-4a0c-afed-6b7d952e47da", scopes: []string{"openid", "email"},
			roles: []string{"buyer", "offline_access", "refund"}, session: "2a88c258-f73a-4103-b862-e1fbd8f4e04e", client: "shop-web",
		},
		{
			product: entraV2(), subject: "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ", scopes: []string{"access_as_user", "files.read"},
			roles: []string{"Survey.Read"}, session: "00123456-0000", client: "0a1b2c3d-1111-4843-9ff4-e66a39bb12e3",
		},
		{
			product: entraV1(), subject: "l3_roISQU222bULS9yi2k0XpqpOiMz5H3ZACo1GeXA",
			scopes: []string{"user_impersonation"}, client: "75dbe77f-10a3-4e59-85fd-8c127544f17c",
		},
		{
			product: cognito(), subject: "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", scopes: []string{"phone", "openid", "profile", "email"},
			roles: []string{"testgroup"}, client: "57cbishk4j24pabc1234567890",
		},
		{product: google(), subject: "113774264463038321964", client: "113774264463038321964"},
		{product: firebase(), subject: "lk5L3Dj4"},
		{product: zitadel(), subject: "77776025198584418", roles: []string{"admin", "reader"}, client: "69234237810729234"},
		{product: hydra(), subject: "25ec04ec-ccf3", scopes: []string{"openid", "offline"}, client: "9b2cdc3d-34a7-4b52-88b2-a4e3ad3a3a0f"},
		{
			product: supabase(), subject: "123e4567-e89b-12d3-a456-426614174001",
			roles: []string{"authenticated", "editor"}, session: "123e4567-e89b-12d3-a456-426614174000",
		},
	} {
		t.Run(tt.product.name, func(t *testing.T) {
			t.Parallel()
			a := newAuthenticator(t, configFor(&tt.product, tt.product.profile))
			p, err := a.Authenticate(request(signed(tt.product.header, timed(tt.product.access))))
			if err != nil {
				t.Fatal(err)
			}
			session := ""
			if tt.session != "" {
				session = bearer.SessionHandle(tt.product.issuer, tt.session)
			}
			got := []any{p.Issuer, p.Subject, p.Scopes, p.Roles, p.SessionHandle, p.Attributes["client_id"]}
			want := []any{tt.product.issuer, tt.subject, tt.scopes, tt.roles, session, tt.client}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}
