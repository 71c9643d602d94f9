package bearer_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/securews/securews/middleware/bearer"
)

// randomProfile makes a Profile of names, which are separated by spaces, and of bits.
func randomProfile(names string, bits uint16) bearer.Profile {
	words := strings.Fields(names)
	word := func(i int) string {
		if len(words) == 0 {
			return "roles"
		}
		return words[i%len(words)]
	}
	bit := func(i int) bool { return bits>>i&1 == 1 }
	p := bearer.Profile{
		Require:   []bearer.Claim{bearer.HasOneOf(word(0), "iss")},
		Forbid:    []bearer.Claim{bearer.Has(word(1), word(2), "*"+word(3), word(4)+"*")},
		ClientIDs: []string{word(5), "client_id"},
		Scopes:    []string{word(6), "scope"}, ScopeLists: bit(0),
		Roles:   [][]string{{word(7)}, {word(0), word(1)}, {word(2), "{audience}", word(3)}},
		Session: word(8), NoAudience: bit(1), NoKeyID: bit(2),
	}
	if bit(3) {
		p.Optional = []string{"iat", "jti", "client_id"}
	}
	if bit(4) {
		p.Types = []string{"", "JWT", "at+jwt"}
	}
	return p
}

// FuzzClaims: of every signed payload and every Profile the answer is an acceptance with the
// subject of the token, or 401. It never panics.
func FuzzClaims(f *testing.F) {
	for _, p := range documented() {
		f.Add(p.access.String(), "typ azp sid roles realm_access scp", uint16(0x1f))
	}
	f.Add(claims().String(), "aud aud aud", uint16(0))
	f.Add(claims().with("roles", object{"a": object{"b": []any{nil, 1, "x"}}}).String(), "roles a b", uint16(9))
	f.Add(`{"roles":{"\u0000":null},"a":[[[]]]}`, "roles a", uint16(3))
	f.Add(`{"sub":"a","exp":1e400}`, "", uint16(0xffff))
	set := keys(jwk("ed", edKey()))
	f.Fuzz(func(t *testing.T, payload, names string, bits uint16) {
		cfg := config()
		cfg.Keys = set
		cfg.Profile, cfg.Clients = randomProfile(names, bits), []string{"app"}
		a, err := bearer.New(cfg)
		if err != nil {
			t.Skip() // a Session of another meaning, a name that is none
		}
		got, err := a.Authenticate(request(sign(edKey(), "EdDSA", `{"alg":"EdDSA","kid":"ed","typ":"at+jwt"}`, payload)))
		switch outcome(err) {
		case "accepted":
			var said struct{ Sub string }
			if json.Unmarshal([]byte(payload), &said) != nil || got.Subject != said.Sub || got.Subject == "" {
				t.Fatalf("accepted as %q: %s", got.Subject, payload)
			}
		case invalid, expired:
		default:
			t.Fatalf("%v: %s", err, payload)
		}
	})
}
