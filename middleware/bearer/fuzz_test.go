package bearer_test

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// FuzzToken: a token is accepted only if its header and payload are ones that were signed.
func FuzzToken(f *testing.F) {
	signed := map[string]bool{}
	for _, c := range []string{
		token(header(), claims()),
		token(header().with("typ", "application/at+jwt"), claims().with("aud", []string{audience})),
		sign(rsaKey(), "RS256", `{"alg":"RS256","kid":"rsa","typ":"at+jwt"}`, claims().String()),
		sign(edKey(), "EdDSA", `{"alg":"EdDSA","kid":"ed","typ":"at+jwt"}`, claims().String()),
	} {
		f.Add(c)
		signed[c[:strings.LastIndexByte(c, '.')]] = true
	}
	for _, c := range []string{
		token(header().with("alg", "none"), claims()), token(header(), claims().without("exp")),
		headerOf(`{"alg":"ES256","kid":"ec","typ":"at+jwt","crit":["b64"],"b64":false}`), spliced(`"sub":"root"`), "..", "a.b.c", "",
	} {
		f.Add(c)
	}
	a := newAuthenticator(f, config())
	f.Fuzz(func(t *testing.T, token string) {
		for range 2 { // the second answer may come from the cache
			r := httptest.NewRequest("GET", "https://api.example/ws", nil)
			r.Header["Authorization"] = []string{"Bearer " + token}
			p, err := a.Authenticate(r)
			switch got := outcome(err); got {
			case "accepted":
				if i := strings.LastIndexByte(token, '.'); i < 0 || !signed[token[:i]] || p.Subject != "alice" {
					t.Fatalf("accepted as %q: %q", p.Subject, token)
				}
			case invalid, malformed, expired:
			default:
				t.Fatalf("got %s: %q", got, token)
			}
		}
	})
}

var (
	bearerHeader = regexp.MustCompile(`\A(?i:bearer) +[A-Za-z0-9\-._~+/]+=*\z`)  // RFC 6750 §2.1
	otherScheme  = regexp.MustCompile("\\A([!#$%&'*+.^_`|~0-9A-Za-z-]+)(\\z| )") // RFC 9110 §11.1
)

func FuzzAuthorization(f *testing.F) {
	a := newAuthenticator(f, config())
	good := token(header(), claims())
	for _, c := range headerCases {
		for _, v := range c.values {
			f.Add(strings.ReplaceAll(v, "GOOD", good))
		}
	}
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequest("GET", "https://api.example/ws", nil)
		r.Header["Authorization"] = []string{value}
		_, err := a.Authenticate(r)
		got := outcome(err)
		scheme := otherScheme.FindStringSubmatch(value)
		switch {
		case bearerHeader.MatchString(value):
			if got != "accepted" && got != invalid && got != expired {
				t.Fatalf("got %s: %q", got, value)
			}
		case scheme != nil && !strings.EqualFold(scheme[1], "bearer"):
			if got != "nothing" {
				t.Fatalf("got %s: %q", got, value)
			}
		case got != malformed:
			t.Fatalf("got %s: %q", got, value)
		}
	})
}
