package bearer_test

import (
	"fmt"
	"log"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// own is a Profile for tokens that the default refuses, told by a claim of their own.
func own() bearer.Profile {
	return bearer.Profile{Name: "Own", Types: []string{"JWT"}, Require: []bearer.Claim{bearer.Has("kind", "access")}}
}

func ownHeader() object { return header().with("typ", "JWT") }
func ownClaims() object { return claims().with("kind", "access") }

func profileWith(change func(*bearer.Profile)) bearer.Profile {
	p := own()
	if change != nil {
		change(&p)
	}
	return p
}

func TestProfileFields(t *testing.T) {
	t.Parallel()
	day := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for _, tt := range []struct {
		name   string
		change func(*bearer.Profile)
		header object // nil: ownHeader
		claims object // nil: ownClaims
		want   string
	}{
		{name: "a token that fits", want: "accepted"},

		{name: "Types: the default's typ is not on the list", header: header(), want: invalid},
		{name: "Types: compared without regard to case", header: header().with("typ", "jwt"), want: "accepted"},
		{name: "Types: application/ is optional in the token", header: header().with("typ", "application/jwt"), want: "accepted"},
		{
			name: "Types: application/ is optional in the Profile", header: header(),
			change: func(p *bearer.Profile) { p.Types = []string{"application/at+jwt"} }, want: "accepted",
		},
		{name: "Types: no typ, and none is not on the list", header: header().without("typ"), want: invalid},
		{
			name: "Types: no typ, and none is on the list", header: header().without("typ"),
			change: func(p *bearer.Profile) { p.Types = []string{""} }, want: "accepted",
		},
		{
			name: "Types: an empty typ is not none", header: header().with("typ", ""),
			change: func(p *bearer.Profile) { p.Types = []string{""} }, want: invalid,
		},

		{name: "Require: the claim is not there", claims: claims(), want: invalid},
		{name: "Require: the claim has another value", claims: claims().with("kind", "id"), want: invalid},
		{name: "Require: the claim is null", claims: claims().with("kind", nil), want: invalid},
		{name: "Require: a list with the value", claims: claims().with("kind", []string{"x", "access"}), want: "accepted"},
		{name: "Require: a list without it", claims: claims().with("kind", []string{"x"}), want: invalid},
		{
			name: "Require: one of two names is enough", claims: claims().with("b", false),
			change: func(p *bearer.Profile) { p.Require = []bearer.Claim{bearer.HasOneOf("a", "b")} }, want: "accepted",
		},
		{
			name: "Require: every Claim must be met", claims: ownClaims(),
			change: func(p *bearer.Profile) { p.Require = append(p.Require, bearer.Has("tenant")) }, want: invalid,
		},
		{
			name: "Require: a value that begins so", claims: claims().with("kind", "access.1"),
			change: func(p *bearer.Profile) { p.Require = []bearer.Claim{bearer.Has("kind", "access.*")} }, want: "accepted",
		},
		{
			name: "Require: a value that only contains it", claims: claims().with("kind", "no access.1"),
			change: func(p *bearer.Profile) { p.Require = []bearer.Claim{bearer.Has("kind", "access.*")} }, want: invalid,
		},
		{
			name: "Require: a value that ends so", claims: claims().with("kind", "my access"),
			change: func(p *bearer.Profile) { p.Require = []bearer.Claim{bearer.Has("kind", "*access")} }, want: "accepted",
		},
		{
			name: "Require: a boolean", claims: claims().with("kind", true),
			change: func(p *bearer.Profile) { p.Require = []bearer.Claim{bearer.Has("kind", "true")} }, want: "accepted",
		},
		{
			name: "Require: a number", claims: claims().with("kind", 7),
			change: func(p *bearer.Profile) { p.Require = []bearer.Claim{bearer.Has("kind", "7")} }, want: "accepted",
		},

		{
			name: "Forbid: any value", claims: ownClaims().with("nonce", "n"),
			change: func(p *bearer.Profile) { p.Forbid = []bearer.Claim{bearer.Has("nonce")} }, want: invalid,
		},
		{
			name: "Forbid: null is as good as absent", claims: ownClaims().with("nonce", nil),
			change: func(p *bearer.Profile) { p.Forbid = []bearer.Claim{bearer.Has("nonce")} }, want: "accepted",
		},
		{
			name: "Forbid: one value among others", claims: ownClaims().with("use", []string{"login", "api"}),
			change: func(p *bearer.Profile) { p.Forbid = []bearer.Claim{bearer.Has("use", "log*")} }, want: invalid,
		},
		{
			name: "Forbid: another value", claims: ownClaims().with("use", "api"),
			change: func(p *bearer.Profile) { p.Forbid = []bearer.Claim{bearer.Has("use", "login")} }, want: "accepted",
		},

		{name: "Optional: iat is required", claims: ownClaims().without("iat"), want: invalid},
		{name: "Optional: jti is required", claims: ownClaims().without("jti"), want: invalid},
		{name: "Optional: client_id is required", claims: ownClaims().without("client_id"), want: invalid},
		{
			name: "Optional: all three", claims: ownClaims().without("iat").without("jti").without("client_id"),
			change: func(p *bearer.Profile) { p.Optional = []string{"iat", "jti", "client_id"} }, want: "accepted",
		},
		{
			name: "Optional: but then of the right type", claims: ownClaims().with("client_id", 7),
			change: func(p *bearer.Profile) { p.Optional = []string{"client_id"} }, want: invalid,
		},
		{name: "Optional: sub is never", claims: ownClaims().without("sub"), change: optionalAll, want: invalid},
		{name: "Optional: exp is never", claims: ownClaims().without("exp"), change: optionalAll, want: invalid},
		{name: "Optional: aud is never", claims: ownClaims().without("aud"), change: optionalAll, want: invalid},

		{name: "MaxLifetime: the default is 24 h", claims: ownClaims().with("exp", day(25*time.Hour)), want: invalid},
		{
			name: "MaxLifetime: more", claims: ownClaims().with("exp", day(25*time.Hour)),
			change: func(p *bearer.Profile) { p.MaxLifetime = 26 * time.Hour }, want: "accepted",
		},
		{
			name: "MaxLifetime: less", claims: ownClaims().with("exp", day(10*time.Minute)),
			change: func(p *bearer.Profile) { p.MaxLifetime = time.Minute }, want: invalid,
		},
		{name: "MaxBytes: the default is 8 KiB", claims: ownClaims().with("x", strings.Repeat("x", 6<<10)), want: invalid},
		{
			name: "MaxBytes: more", claims: ownClaims().with("x", strings.Repeat("x", 6<<10)),
			change: func(p *bearer.Profile) { p.MaxBytes = 16 << 10 }, want: "accepted",
		},
		{
			name: "MaxBytes: less", claims: ownClaims().with("x", strings.Repeat("x", 1<<10)),
			change: func(p *bearer.Profile) { p.MaxBytes = 1 << 10 }, want: invalid,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := config()
			cfg.Profile = profileWith(tt.change)
			h, c := tt.header, tt.claims
			if h == nil {
				h = ownHeader()
			}
			if c == nil {
				c = ownClaims()
			}
			_, err := newAuthenticator(t, cfg).Authenticate(request(token(h, c)))
			if got := outcome(err); got != tt.want {
				t.Errorf("%s, want %s: %v", got, tt.want, err)
			}
		})
	}
}

func optionalAll(p *bearer.Profile) { p.Optional = []string{"iat", "jti", "client_id"} }

// Of several claims the first that is there counts; it is not looked for in the next if its
// type is wrong.
func TestProfileNamesOfClaims(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*bearer.Profile)
		claims object
		want   string // the claims that were read, or the refusal
	}{
		{"the names of RFC 9068", nil, ownClaims().with("sid", "s"), "client app scopes [read write] session s"},
		{
			"ClientIDs: the first", func(p *bearer.Profile) { p.ClientIDs = []string{"azp", "client_id"} },
			ownClaims().with("azp", "web"), "client web scopes [read write] session ",
		},
		{
			"ClientIDs: the second, if the first is not there", func(p *bearer.Profile) { p.ClientIDs = []string{"azp", "client_id"} },
			ownClaims(), "client app scopes [read write] session ",
		},
		{
			"ClientIDs: the first is empty", func(p *bearer.Profile) { p.ClientIDs = []string{"azp", "client_id"} },
			ownClaims().with("azp", ""), invalid,
		},
		{
			"ClientIDs: client_id does not count if it is not named", func(p *bearer.Profile) { p.ClientIDs = []string{"azp"} },
			ownClaims(), invalid,
		},
		{
			"Scopes: another claim", func(p *bearer.Profile) { p.Scopes = []string{"scp"} },
			ownClaims().with("scp", "a  b "), "client app scopes [a b] session ",
		},
		{"Scopes: a list is refused", nil, ownClaims().with("scope", []string{"a"}), invalid},
		{
			"ScopeLists: a list", func(p *bearer.Profile) { p.ScopeLists = true },
			ownClaims().with("scope", []string{"a", "b"}), "client app scopes [a b] session ",
		},
		{
			"ScopeLists: an empty list", func(p *bearer.Profile) { p.ScopeLists = true },
			ownClaims().with("scope", []string{}), "client app scopes [] session ",
		},
		{
			"ScopeLists: words within an element", func(p *bearer.Profile) { p.ScopeLists = true },
			ownClaims().with("scope", []string{"a b"}), invalid,
		},
		{
			"ScopeLists: a number in the list", func(p *bearer.Profile) { p.ScopeLists = true },
			ownClaims().with("scope", []any{"a", 1}), invalid,
		},
		{"Scopes: a number", nil, ownClaims().with("scope", 1), invalid},
		{
			"Session: another claim", func(p *bearer.Profile) { p.Session = "session_id" },
			ownClaims().with("session_id", "t").with("sid", "s"), "client app scopes [read write] session t",
		},
		{
			"Session: an empty claim", func(p *bearer.Profile) { p.Session = "session_id" },
			ownClaims().with("session_id", ""), invalid,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := config()
			cfg.Profile = profileWith(tt.change)
			p, err := newAuthenticator(t, cfg).Authenticate(request(token(ownHeader(), tt.claims)))
			got := outcome(err)
			if err == nil {
				session := ""
				for _, s := range []string{"s", "t"} {
					if p.SessionHandle == bearer.SessionHandle(issuer, s) {
						session = s
					}
				}
				got = fmt.Sprintf("client %s scopes %v session %s", p.Attributes["client_id"], p.Scopes, session)
			}
			if got != tt.want {
				t.Errorf("%s, want %s: %v", got, tt.want, err)
			}
		})
	}
}

// A Profile of one's own, for an issuer that writes the kind of a token into a claim.
func ExampleProfile() {
	tokens, err := bearer.New(bearer.Config{
		Profile: bearer.Profile{
			Name:      "Example",
			Types:     []string{"JWT"},
			Require:   []bearer.Claim{bearer.Has("token_use", "access")}, // an ID token has "id"
			ClientIDs: []string{"azp"},
			Roles:     [][]string{{"app", "roles"}},
		},
		Issuer:   "https://issuer.example",
		Audience: []string{"https://api.example"},
		Keys:     keys(jwk("ec", ecKey())), // in production JWKS, the URL, or Discovery
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = tokens.Close() }()
	access := claims().with("token_use", "access").with("azp", "web").with("app", object{"roles": []string{"editor"}})
	p, err := tokens.Authenticate(request(token(header().with("typ", "JWT"), access)))
	fmt.Println(p.Subject, p.Roles, p.Attributes["client_id"], err)
	_, err = tokens.Authenticate(request(token(header().with("typ", "JWT"), access.with("token_use", "id"))))
	fmt.Println(err.(*middleware.Refusal).Err)
	// Output:
	// alice [editor] web <nil>
	// bearer: token is not an access token: token_use is "id"; want token_use access; see Config.Profile
}
