package bearer_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/session"
)

var (
	_ middleware.Revocable  = (*bearer.Authenticator)(nil)
	_ middleware.Challenger = (*bearer.Authenticator)(nil)
	_ middleware.Asker      = (*bearer.Authenticator)(nil)
	_ middleware.Stripper   = (*bearer.Authenticator)(nil)
	_ middleware.Revocable  = (*bearer.Issuers)(nil)
	_ middleware.Challenger = (*bearer.Issuers)(nil)
	_ middleware.Asker      = (*bearer.Issuers)(nil)
	_ middleware.Stripper   = (*bearer.Issuers)(nil)
	_ bearer.Sessions       = (*session.Manager)(nil)
)

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*bearer.Config)
		want   string // "" for accepted
	}{
		{"nothing that is right", func(*bearer.Config) {}, ""},
		{"no issuer", func(c *bearer.Config) { c.Issuer = "" }, "bearer: Issuer: "},
		{"an issuer with a NUL", func(c *bearer.Config) { c.Issuer = "a\x00b" }, "bearer: Issuer: "},
		{
			"an issuer with a placeholder of another name", func(c *bearer.Config) { c.Issuer = "https://login.example/{tenantid}/v2.0" },
			"{tenant}",
		},
		{"no audience", func(c *bearer.Config) { c.Audience = nil }, "bearer: Audience: "},
		{"no source of keys", func(c *bearer.Config) { c.Keys = nil }, "exactly one"},
		{"two sources of keys", func(c *bearer.Config) { c.JWKS = "https://issuer.example/jwks" }, "exactly one"},
		{"empty keys", func(c *bearer.Config) { c.Keys = []byte{} }, "array of keys"},
		{"a set of no keys", func(c *bearer.Config) { c.Keys = []byte(`{"keys":[]}`) }, "no usable key"},
		{
			"a set of useless keys", func(c *bearer.Config) { c.Keys = []byte(`{"keys":[{"kty":"oct","kid":"a","k":"AA"}]}`) },
			`bearer: Keys: no usable key: key 0, kid "a": has private members`,
		},
		{
			"a key without kid", func(c *bearer.Config) { c.Keys = keys(jwk("", ecKey())) },
			`no usable key: key 0, kid "": no kid; see Profile.NoKeyID`,
		},
		{"a set named twice", func(c *bearer.Config) { c.Keys = []byte(`{"keys":[],` + string(goodKeys()[1:])) }, "array of keys"},
		{"one key for a set", func(c *bearer.Config) { c.Keys = []byte(jwk("a", ecKey()).String()) }, "array of keys"},
		{
			"a set of 4097 keys", func(c *bearer.Config) { c.Keys = []byte(`{"keys":[` + strings.Repeat("{},", 4096) + `{}]}`) },
			"more than 4096",
		},
		{"a key set over http", func(c *bearer.Config) { c.Keys, c.JWKS = nil, "http://issuer.example/jwks" }, "https"},
		{
			"a key set of this machine over http", func(c *bearer.Config) { c.Keys, c.JWKS = nil, "http://localhost:8080/jwks" },
			"DangerouslyAllowLocalHTTP",
		},
		{"local HTTP of another machine", func(c *bearer.Config) {
			c.Keys, c.JWKS, c.DangerouslyAllowLocalHTTP = nil, "http://localhost.example/jwks", true
		}, "not https"},
		{
			"a resource that is no https URL, RFC 9728 §1.2", func(c *bearer.Config) { c.Resource = "http://api.example" },
			"bearer: Resource: ",
		},
		{"a resource with a fragment", func(c *bearer.Config) { c.Resource = "https://api.example/#a" }, "bearer: Resource: "},
		{"a resource with a quote", func(c *bearer.Config) { c.Resource = `https://api.example/"` }, "bearer: Resource: "},
		{"scopes without a resource", func(c *bearer.Config) { c.ResourceScopes = []string{"read"} }, "bearer: ResourceScopes: "},
		{"a scope of two words", func(c *bearer.Config) {
			c.Resource, c.ResourceScopes = "https://api.example", []string{"read write"}
		}, "bearer: ResourceScopes: "},
		{"a key set without host", func(c *bearer.Config) { c.Keys, c.JWKS = nil, "https:///jwks" }, "https"},
		{"a key set with a password", func(c *bearer.Config) { c.Keys, c.JWKS = nil, "https://a:b@issuer.example/" }, "password"},
		{"a key set with a fragment", func(c *bearer.Config) { c.Keys, c.JWKS = nil, "https://issuer.example/#a" }, "fragment"},
		{
			"discovery of an issuer over http",
			func(c *bearer.Config) { c.Keys, c.Discovery, c.Issuer = nil, true, "http://issuer.example" },
			"bearer: Issuer: with Discovery",
		},
		{
			"discovery of an issuer with a query, RFC 8414 §2",
			func(c *bearer.Config) { c.Keys, c.Discovery, c.Issuer = nil, true, "https://issuer.example?a" }, "query",
		},
		{"an algorithm that is none", func(c *bearer.Config) { c.Algorithms = []bearer.Algorithm{0} }, "bearer: Algorithms: "},
		{"an algorithm beyond the set", func(c *bearer.Config) { c.Algorithms = []bearer.Algorithm{200} }, "bearer: Algorithms: "},
		{"an algorithm twice", func(c *bearer.Config) { c.Algorithms = []bearer.Algorithm{bearer.ES256, bearer.ES256} }, "twice"},
		{"an algorithm none of the keys is for", func(c *bearer.Config) {
			c.Algorithms, c.Keys = []bearer.Algorithm{bearer.RS256}, keys(jwk("a", ecKey()))
		}, "no usable key"},
		{"a negative leeway", func(c *bearer.Config) { c.Leeway = -1 }, "bearer: Leeway: "},
		{"a leeway above two minutes", func(c *bearer.Config) { c.Leeway = 2*time.Minute + 1 }, "bearer: Leeway: "},
		{"a lifetime above 30 days", func(c *bearer.Config) { c.MaxLifetime = 721 * time.Hour }, "bearer: MaxLifetime: "},
		{"a negative refresh", func(c *bearer.Config) { c.Refresh = -1 }, "bearer: Refresh: "},
		{"a cool-down above 30 s", func(c *bearer.Config) { c.CoolDown = time.Minute }, "bearer: CoolDown: "},
		{"staleness shorter than the refresh", func(c *bearer.Config) { c.MaxStale = time.Minute }, "bearer: MaxStale: "},
		{"a negative cache", func(c *bearer.Config) { c.CacheSize = -1 }, "bearer: CacheSize: "},
		{"a realm with a quote", func(c *bearer.Config) { c.Realm = `a"b` }, "bearer: Realm: "},
		{"a realm with a line break", func(c *bearer.Config) { c.Realm = "a\r\nb" }, "bearer: Realm: "},
		{"a session claim with another meaning", func(c *bearer.Config) { c.SessionClaim = "sub" }, "bearer: SessionClaim: "},
		{"a session claim with a line break", func(c *bearer.Config) { c.SessionClaim = "a\n" }, "bearer: SessionClaim: "},
		{"a session claim of 256 bytes", func(c *bearer.Config) { c.SessionClaim = strings.Repeat("a", 256) }, "bearer: SessionClaim: "},
		{"a session claim of 255 bytes", func(c *bearer.Config) { c.SessionClaim = strings.Repeat("a", 255) }, ""},
		{"an attribute without name", func(c *bearer.Config) { c.Attributes = []string{""} }, "bearer: Attributes: "},
		{"revocations that are a nil pointer", func(c *bearer.Config) { c.Revocations = (*deafRevocations)(nil) }, "bearer: Revocations: "},
		{"sessions that are a nil pointer", func(c *bearer.Config) { c.Sessions = (*session.Manager)(nil) }, "bearer: Sessions: "},
		{"a claim without name", func(c *bearer.Config) { c.Claims = []string{""} }, "bearer: Claims: "},
		{"a claim twice", func(c *bearer.Config) { c.Claims = []string{"a", "a"} }, "bearer: Claims: "},
		{"an attribute twice", func(c *bearer.Config) { c.Attributes = []string{"a", "a"} }, "bearer: Attributes: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config()
			c.change(&cfg)
			a, err := bearer.New(cfg)
			switch {
			case c.want == "" && err != nil:
				t.Fatal(err)
			case c.want != "" && (err == nil || a != nil || !strings.Contains(err.Error(), c.want)):
				t.Fatalf("got %v, want an error about %s", err, c.want)
			}
		})
	}
}

func TestNewReportsEverything(t *testing.T) {
	_, err := bearer.New(bearer.Config{JWKS: "http://x", Keys: []byte("{}"), Leeway: -1, Realm: "\n"})
	if err == nil || strings.Count(err.Error(), "\n") != 6 { // Issuer, Audience, two of Keys, JWKS, Realm, Leeway
		t.Errorf("got %v", err)
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if !strings.HasPrefix(line, "bearer: ") {
			t.Errorf("unworded: %s", line)
		}
	}
}

func TestConfigIsNotComparable(t *testing.T) {
	if reflect.TypeFor[bearer.Config]().Comparable() {
		t.Error("a Config can be compared")
	}
}

// ASVS 9.1.2.
func TestAlgorithmsNotListedAreRefused(t *testing.T) {
	cfg := config()
	cfg.Algorithms = []bearer.Algorithm{bearer.RS256, bearer.EdDSA}
	a := newAuthenticator(t, cfg)
	for _, c := range []struct{ name, token, want string }{
		{"listed", sign(rsaKey(), "RS256", `{"alg":"RS256","kid":"rsa","typ":"at+jwt"}`, claims().String()), "accepted"},
		{"of the same key", sign(rsaKey(), "RS384", `{"alg":"RS384","kid":"rsa","typ":"at+jwt"}`, claims().String()), invalid},
		{"not listed", token(header(), claims()), invalid},
		{
			"the other name of one listed", sign(edKey(), "Ed25519", `{"alg":"Ed25519","kid":"ed","typ":"at+jwt"}`, claims().String()),
			invalid,
		},
	} {
		if _, err := a.Authenticate(request(c.token)); outcome(err) != c.want {
			t.Errorf("%s: got %s", c.name, outcome(err))
		}
	}
}

func TestTheConfigMayBeChangedAfterwards(t *testing.T) {
	cfg := config()
	cfg.Attributes = []string{"email"}
	cfg.Algorithms = []bearer.Algorithm{bearer.ES256}
	a := newAuthenticator(t, cfg)
	cfg.Attributes[0], cfg.Algorithms[0] = "sub", bearer.RS256
	clear(cfg.Keys)
	p, err := a.Authenticate(request(token(header(), claims().with("email", "e"))))
	if err != nil || p.Attributes["email"] != "e" {
		t.Errorf("got %v, %v", p, err)
	}
}
