package bearer_test

import (
	"testing"
	"time"

	"github.com/securews/securews/middleware/bearer"
)

func TestGoodTokensAreAccepted(t *testing.T) {
	now := time.Now().Unix()
	cases := []struct{ name, token string }{
		{"the profile of RFC 9068 §2", token(header(), claims())},
		{"RS256", sign(rsaKey(), "RS256", `{"alg":"RS256","kid":"rsa","typ":"at+jwt"}`, claims().String())},
		{"RS384", sign(rsaKey(), "RS384", `{"alg":"RS384","kid":"rsa","typ":"at+jwt"}`, claims().String())},
		{"RS512", sign(rsaKey(), "RS512", `{"alg":"RS512","kid":"rsa","typ":"at+jwt"}`, claims().String())},
		{"PS256", sign(rsaKey(), "PS256", `{"alg":"PS256","kid":"rsa","typ":"at+jwt"}`, claims().String())},
		{"PS384", sign(rsaKey(), "PS384", `{"alg":"PS384","kid":"rsa","typ":"at+jwt"}`, claims().String())},
		{"PS512", sign(rsaKey(), "PS512", `{"alg":"PS512","kid":"rsa","typ":"at+jwt"}`, claims().String())},
		{"ES384", sign(ec384(), "ES384", `{"alg":"ES384","kid":"ec384","typ":"at+jwt"}`, claims().String())},
		{"ES512", sign(ec521(), "ES512", `{"alg":"ES512","kid":"ec521","typ":"at+jwt"}`, claims().String())},
		{"EdDSA", sign(edKey(), "EdDSA", `{"alg":"EdDSA","kid":"ed","typ":"at+jwt"}`, claims().String())},
		{"Ed25519, RFC 9864 §2.2", sign(edKey(), "Ed25519", `{"alg":"Ed25519","kid":"ed","typ":"at+jwt"}`, claims().String())},
		{"typ with application/, RFC 9068 §4", token(header().with("typ", "application/at+jwt"), claims())},
		{"typ in capitals, RFC 7515 §4.1.9", token(header().with("typ", "Application/AT+JWT"), claims())},
		{
			"x5t and x5c, RFC 7515 §4.1.6-8",
			token(header().with("x5t", "abc").with("x5t#S256", "abc").with("x5c", []string{"MII"}), claims()),
		},
		{"unknown header parameters, RFC 7515 §4", token(header().with("nonce", object{"a": []int{1}}), claims())},
		{
			"a name escaped, RFC 8259 §8.3",
			sign(ecKey(), "ES256", `{"\u0061lg":"ES256","kid":"\u0065c","typ":"at\u002bjwt"}`, claims().String()),
		},
		{
			"space around everything, RFC 8259 §2",
			sign(ecKey(), "ES256", " {\r\n\t\"alg\" : \"ES256\" , \"kid\":\"ec\",\"typ\":\"at+jwt\" } ", claims().String()),
		},
		{"aud an array, RFC 7519 §4.1.3", token(header(), claims().with("aud", []string{"https://other.example", audience}))},
		{"aud an array of one", token(header(), claims().with("aud", []string{audience}))},
		{"no scope, RFC 9068 §2.2.3", token(header(), claims().without("scope"))},
		{"an empty scope", token(header(), claims().with("scope", ""))},
		{"scope with two spaces", token(header(), claims().with("scope", "read  write"))},
		{"scope with a space behind", token(header(), claims().with("scope", "read "))},
		{"fractional dates, RFC 7519 §2", token(header(), claims().with("exp", float64(now)+60.5).with("iat", float64(now)-.25))},
		{
			"an exponent in a date, RFC 8259 §6",
			sign(ecKey(), "ES256", header().String(),
				`{"iss":"`+issuer+`","aud":"`+audience+`","sub":"a","jti":"j","client_id":"c","iat":1E9,"exp":`+jsonNumber(now+60)+`}`),
		},
		{"nbf long ago", token(header(), claims().with("nbf", 0))},
		{"nbf within the leeway", token(header(), claims().with("nbf", now+25))},
		{"a clock 25 s ahead of the issuer's", token(header(), claims().with("exp", now-25))},
		{"a clock 25 s behind the issuer's", token(header(), claims().with("iat", now+25))},
		{"24 h of life", token(header(), claims().with("exp", now+86400))},
		{"a subject beyond ASCII", token(header(), claims().with("sub", "žofie 🦊"))},
		{
			"a surrogate pair in a subject",
			sign(ecKey(), "ES256", header().String(),
				claims().without("sub").String()[:1]+`"sub":"\ud83e\udd8a",`+claims().without("sub").String()[1:]),
		},
		{"nested unknown claims", token(header(),
			claims().with("realm_access", object{"roles": []any{"a", object{"b": nil}}}).with("n", int64(123456789012345678)))},
		{"a claim whose name differs in case", token(header(), claims().with("EXP", 1).with("Iss", "x"))},
		{"31 levels of nesting", token(header(), claims().with("deep", nested(31)))},
	}
	cfg := config()
	for a := bearer.RS256; a.String() != ""; a++ {
		cfg.Algorithms = append(cfg.Algorithms, a)
	}
	a := newAuthenticator(t, cfg)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := a.Authenticate(request(c.token)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAlgorithmNames(t *testing.T) {
	for a, name := range map[bearer.Algorithm]string{
		bearer.RS256: "RS256", bearer.ES512: "ES512", bearer.EdDSA: "EdDSA", bearer.Ed25519: "Ed25519", 0: "", 99: "",
	} {
		if a.String() != name {
			t.Errorf("Algorithm(%d) is %q", uint8(a), a)
		}
	}
}

// ES512 costs milliseconds to verify, for a forged token too.
func TestES512IsOffByDefault(t *testing.T) {
	tok := sign(ec521(), "ES512", `{"alg":"ES512","kid":"ec521","typ":"at+jwt"}`, claims().String())
	if got := outcomeOf(newAuthenticator(t, config()), tok); got != invalid {
		t.Errorf("by default: %s", got)
	}
	cfg := config()
	cfg.Algorithms = []bearer.Algorithm{bearer.ES512}
	if got := outcomeOf(newAuthenticator(t, cfg), tok); got != "accepted" {
		t.Errorf("if it is asked for: %s", got)
	}
}
