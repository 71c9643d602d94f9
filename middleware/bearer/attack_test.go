package bearer_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware/bearer"
)

// payloadOf signs a payload as it stands.
func payloadOf(payload string) string { return sign(ecKey(), "ES256", header().String(), payload) }

// headerOf signs under a header as it stands.
func headerOf(header string) string { return sign(ecKey(), "ES256", header, claims().String()) }

// spliced is the good claims with a raw member in front.
func spliced(member string) string { return payloadOf("{" + member + "," + claims().String()[1:]) }

// ASVS 9.1.1, 9.1.2: the signature is verified before anything is believed, by an
// algorithm that is listed and is the key's.
func TestForgedSignaturesAreRefused(t *testing.T) {
	good := token(header(), claims())
	part := strings.Split(good, ".")
	public, _ := x509.MarshalPKIXPublicKey(rsaKey().Public())
	pemKey := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	hs := func(secret []byte) string {
		input := b64([]byte(`{"alg":"HS256","kid":"rsa","typ":"at+jwt"}`)) + "." + b64([]byte(claims().String()))
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(input))
		return input + "." + b64(m.Sum(nil))
	}
	digest := sha256.Sum256([]byte(b64([]byte(`{"alg":"PS256","kid":"rsa","typ":"at+jwt"}`)) + "." + b64([]byte(claims().String()))))
	shortSalt, _ := rsa.SignPSS(rand.Reader, rsaKey(), crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 8})
	der, _ := ecKey().Sign(rand.Reader, digest[:], crypto.SHA256)
	zero := b64(make([]byte, 64))
	refusedAll(t, []attack{
		{"alg none without a signature, RFC 8725 §3.2", b64([]byte(`{"alg":"none","kid":"ec","typ":"at+jwt"}`)) + "." + part[1] + "."},
		{"alg none with one", b64([]byte(`{"alg":"none","kid":"ec","typ":"at+jwt"}`)) + "." + part[1] + "." + part[2]},
		{"alg nOnE", b64([]byte(`{"alg":"nOnE","kid":"ec","typ":"at+jwt"}`)) + "." + part[1] + "." + part[2]},
		{"HS256 keyed with the public key's PEM, RFC 8725 §2.1", hs(pemKey)},
		{"HS256 keyed with the public key's DER", hs(public)},
		{"HS256 keyed with the modulus", hs(rsaKey().N.Bytes())},
		{
			"the alg of another key: RS256 for the kid of an EC key",
			sign(rsaKey(), "RS256", `{"alg":"RS256","kid":"ec","typ":"at+jwt"}`, claims().String()),
		},
		{
			"ES256 with a P-384 key, RFC 7518 §3.4",
			sign(ec384(), "ES256", `{"alg":"ES256","kid":"ec384","typ":"at+jwt"}`, claims().String()),
		},
		{"ES384 with a P-256 key", sign(ecKey(), "ES384", `{"alg":"ES384","kid":"ec","typ":"at+jwt"}`, claims().String())},
		{"signed RS256, called PS256", sign(rsaKey(), "RS256", `{"alg":"PS256","kid":"rsa","typ":"at+jwt"}`, claims().String())},
		{"signed PS256, called RS256", sign(rsaKey(), "PS256", `{"alg":"RS256","kid":"rsa","typ":"at+jwt"}`, claims().String())},
		{"signed with SHA-512, called RS256", sign(rsaKey(), "RS512", `{"alg":"RS256","kid":"rsa","typ":"at+jwt"}`, claims().String())},
		{
			"PSS with a short salt, RFC 7518 §3.5",
			b64([]byte(`{"alg":"PS256","kid":"rsa","typ":"at+jwt"}`)) + "." + b64([]byte(claims().String())) + "." + b64(shortSalt),
		},
		{"signed by a stranger", sign(otherEC(), "ES256", header().String(), claims().String())},
		{"signed by a stranger's RSA key", sign(otherRSA(), "RS256", `{"alg":"RS256","kid":"rsa","typ":"at+jwt"}`, claims().String())},
		{"the claims changed", part[0] + "." + b64([]byte(claims().with("sub", "root").String())) + "." + part[2]},
		{"the header changed", b64([]byte(header().with("x", 1).String())) + "." + part[1] + "." + part[2]},
		{"an ECDSA signature of zeros, CVE-2022-21449", part[0] + "." + part[1] + "." + zero},
		{"an ECDSA signature in DER, RFC 7518 §3.4", part[0] + "." + part[1] + "." + b64(der)},
		{"an ECDSA signature one octet long", part[0] + "." + part[1] + ".AA"},
		{"an ECDSA signature with zeros in front", part[0] + "." + part[1] + "." + b64(append(make([]byte, 2), decode(part[2])...))},
		{
			"an RSA signature with a zero in front",
			zeroInFront(sign(rsaKey(), "RS256", `{"alg":"RS256","kid":"rsa","typ":"at+jwt"}`, claims().String())),
		},
	})
}

func decode(s string) []byte { b, _ := base64.RawURLEncoding.DecodeString(s); return b }

func zeroInFront(token string) string {
	i := strings.LastIndexByte(token, '.') + 1
	return token[:i] + b64(append([]byte{0}, decode(token[i:])...))
}

type attack struct{ name, token string }

func refusedAll(t *testing.T, attacks []attack) {
	t.Helper()
	a := newAuthenticator(t, config())
	for _, c := range attacks {
		t.Run(c.name, func(t *testing.T) {
			_, err := a.Authenticate(request(c.token))
			if got := outcome(err); got != invalid {
				t.Fatalf("got %s, want %s", got, invalid)
			}
		})
	}
}

func TestMisshapenTokensAreRefused(t *testing.T) {
	good := token(header(), claims())
	part := strings.Split(good, ".")
	// A payload whose length leaves stray bits in the last character.
	stray := func() string {
		for pad := ""; ; pad += " " {
			s := payloadOf(claims().String() + pad)
			p := strings.Split(s, ".")
			if len(p[1])%4 == 3 {
				last := strings.IndexByte(alphabet, p[1][len(p[1])-1])
				return p[0] + "." + p[1][:len(p[1])-1] + string(alphabet[last|1]) + "." + p[2]
			}
		}
	}()
	strayEnd := good[:len(good)-1] + string(alphabet[strings.IndexByte(alphabet, good[len(good)-1])|1])
	refusedAll(t, []attack{
		{"no dots", "abc"},
		{"two parts", part[0] + "." + part[1]},
		{"four parts", good + ".AAAA"},
		{"five parts, a JWE (RFC 7516 §7.1)", good + ".AAAA.AAAA"},
		{"an empty header", "." + part[1] + "." + part[2]},
		{"an empty payload", part[0] + ".." + part[2]},
		{"an empty signature", part[0] + "." + part[1] + "."},
		{"a dot behind", good + "."},
		{"padding behind the signature, RFC 7515 §2", good + "=="},
		{"the standard alphabet's plus", part[0] + "." + part[1] + "." + "+" + part[2][1:]},
		{"the standard alphabet's slash", part[0] + "." + part[1] + "." + "/" + part[2][1:]},
		{"a tilde", part[0] + "." + part[1] + "." + "~" + part[2][1:]},
		{"stray bits behind the payload, RFC 4648 §3.5", stray},
		{"stray bits behind the signature", strayEnd},
		{"one character more", good + "A"},
		{"more than 8 KiB", payloadOf(claims().with("x", strings.Repeat("a", bearer.DefaultMaxBytes)).String())},
	})
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// ASVS 9.1.2: algorithms of the list only; 9.1.3: no key that the token brings or names
// (jku, x5u, jwk); 9.2.2: no token of another type.
func TestBadHeadersAreRefused(t *testing.T) {
	h := header()
	attacker := jwk("ec", otherEC())
	refusedAll(t, []attack{
		{"not JSON", headerOf(`{alg:"ES256"}`)},
		{"an array", headerOf(`["ES256"]`)},
		{"null", headerOf(`null`)},
		{"trailing data", headerOf(h.String() + `{}`)},
		{"a trailing comma", headerOf(`{"alg":"ES256","kid":"ec","typ":"at+jwt",}`)},
		{"a byte order mark, RFC 8259 §8.1", headerOf("\xef\xbb\xbf" + h.String())},
		{"alg twice, RFC 7515 §4", headerOf(`{"alg":"none","alg":"ES256","kid":"ec","typ":"at+jwt"}`)},
		{"alg twice, once escaped", headerOf(`{"\u0061lg":"none","alg":"ES256","kid":"ec","typ":"at+jwt"}`)},
		{"a name twice deep inside", headerOf(`{"alg":"ES256","kid":"ec","typ":"at+jwt","x":[{"a":1,"a":2}]}`)},
		{"invalid UTF-8", headerOf("{\"alg\":\"ES256\",\"kid\":\"ec\",\"typ\":\"at+jwt\",\"x\":\"\xff\"}")},
		{"half a surrogate pair, RFC 7493 §2.1", headerOf(`{"alg":"ES256","kid":"ec","typ":"at+jwt","x":"\ud83e"}`)},
		{"no alg, RFC 7515 §4.1.1", token(h.without("alg"), claims())},
		{"alg in lower case", token(h.with("alg", "es256"), claims())},
		{"alg with a space", token(h.with("alg", "ES256 "), claims())},
		{"alg a list", token(h.with("alg", []string{"ES256"}), claims())},
		{"ALG in place of alg", token(h.without("alg").with("ALG", "ES256"), claims())},
		{"ES256K, which is not on the list", token(h.with("alg", "ES256K"), claims())},
		{"no kid", token(h.without("kid"), claims())},
		{"an empty kid", token(h.with("kid", ""), claims())},
		{"kid a number", token(h.with("kid", 1), claims())},
		{"an unknown kid", token(h.with("kid", "../../dev/null"), claims())},
		{"kid in another letter case", token(h.with("kid", "EC"), claims())},
		{"no typ, RFC 9068 §4", token(h.without("typ"), claims())},
		{"typ JWT, as ID tokens have it, RFC 8725 §3.11", token(h.with("typ", "JWT"), claims())},
		{"typ of a logout token", token(h.with("typ", "logout+jwt"), claims())},
		{"typ with a parameter", token(h.with("typ", "at+jwt; v=1"), claims())},
		{"typ under another tree", token(h.with("typ", "text/at+jwt"), claims())},
		{"typ application/ twice", token(h.with("typ", "application/application/at+jwt"), claims())},
		{"typ a list", token(h.with("typ", []string{"at+jwt"}), claims())},
		{"crit with an unknown extension, RFC 7515 §4.1.11", token(h.with("crit", []string{"exp"}).with("exp", 1), claims())},
		{"an empty crit", token(h.with("crit", []string{}), claims())},
		{"crit null", token(h.with("crit", nil), claims())},
		{"b64 false, RFC 7797", token(h.with("b64", false).with("crit", []string{"b64"}), claims())},
		{"b64 false without crit", token(h.with("b64", false), claims())},
		{"zip", token(h.with("zip", "DEF"), claims())},
		{"jku, RFC 8725 §3.10", token(h.with("jku", "https://evil.example/jwks"), claims())},
		{"x5u", token(h.with("x5u", "https://evil.example/x"), claims())},
		{"jwk, the attacker's key along with its signature", sign(otherEC(), "ES256", h.with("jwk", attacker).String(), claims().String())},
		{"jwk, the right key", token(h.with("jwk", jwk("ec", ecKey())), claims())},
		{"cty JWT on claims, RFC 7519 §7.2", token(h.with("cty", "JWT"), claims())},
		{"a nested token, RFC 7519 §5.2", sign(ecKey(), "ES256", h.with("cty", "JWT").String(), token(h, claims()))},
		{"33 levels of nesting", token(h.with("x", nested(33)), claims())},
		{"1000 levels of nesting", headerOf(`{"alg":"ES256","kid":"ec","typ":"at+jwt","x":` + strings.Repeat("[", 1000) +
			strings.Repeat("]", 1000) + `}`)},
	})
}

// ASVS 9.2.1: within exp and nbf; 9.2.3, 10.3.1: for this audience; 10.3.3: with an
// issuer and a subject, so that it says who.
func TestBadClaimsAreRefused(t *testing.T) {
	now := time.Now().Unix()
	c := claims()
	attacks := []attack{
		{"not JSON", payloadOf("alice")},
		{"an array", payloadOf("[" + c.String() + "]")},
		{"trailing data", payloadOf(c.String() + c.String())},
		{"a NUL behind", payloadOf(c.String() + "\x00")},
		{"a comment", payloadOf("/**/" + c.String())},
		{"sub twice, RFC 7519 §4", spliced(`"sub":"root"`)},
		{"sub twice, once escaped", spliced(`"\u0073ub":"root"`)},
		{"exp twice", spliced(`"exp":9999999999`)},
		{"a name twice deep inside", spliced(`"x":{"y":{"z":1,"\u007a":1}}`)},
		{"the same name among many", payloadOf(c.with("x", many(40)).String()[:len(c.with("x", many(40)).String())-1] + `,"sub":"alice"}`)},
		{"invalid UTF-8", spliced("\"x\":\"\xc0\xaf\"")},
		{"a control character in a string", spliced("\"x\":\"\n\"")},
		{"NaN", spliced(`"x":NaN`)},
		{"a number with a leading zero", spliced(`"x":01`)},
		{"a number with a leading plus", spliced(`"x":+1`)},
		{"iss of another issuer", token(header(), c.with("iss", "https://evil.example"))},
		{"iss with a slash more, RFC 9068 §4", token(header(), c.with("iss", issuer+"/"))},
		{"iss in another letter case", token(header(), c.with("iss", strings.ToUpper(issuer)))},
		{"iss a list", token(header(), c.with("iss", []string{issuer}))},
		{"aud of another service", token(header(), c.with("aud", "https://other.example"))},
		{"aud that starts with ours", token(header(), c.with("aud", audience+".evil.example"))},
		{"aud an empty list", token(header(), c.with("aud", []string{}))},
		{"aud a list with a number", token(header(), c.with("aud", []any{audience, 1}))},
		{"aud a list in a list", token(header(), c.with("aud", []any{[]string{audience}}))},
		{"aud an object", token(header(), c.with("aud", object{audience: true}))},
		{"aud null", token(header(), c.with("aud", nil))},
		{"aud a comma-separated string", token(header(), c.with("aud", audience+",x"))},
		{"sub empty", token(header(), c.with("sub", ""))},
		{"sub a number", token(header(), c.with("sub", 1))},
		{"sub null", token(header(), c.with("sub", nil))},
		{"exp a string, RFC 7519 §2", token(header(), c.with("exp", jsonNumber(now+60)))},
		{"exp null", token(header(), c.with("exp", nil))},
		{"exp a list", token(header(), c.with("exp", []int64{now + 60}))},
		{"exp negative", token(header(), c.with("exp", -1))},
		{"exp beyond float64", spliced(`"nbf":1e400`)},
		{"exp far away", token(header(), c.with("exp", now+86400+120))},
		{"exp beyond the year 9999", token(header(), c.with("exp", 1e18))},
		{"nbf a string", token(header(), c.with("nbf", "0"))},
		{"nbf in two minutes", token(header(), c.with("nbf", now+120))},
		{"iat in two minutes", token(header(), c.with("iat", now+120))},
		{"iat a bool", token(header(), c.with("iat", true))},
		{"jti empty", token(header(), c.with("jti", ""))},
		{"jti a number", token(header(), c.with("jti", 7))},
		{"client_id a list", token(header(), c.with("client_id", []string{"app"}))},
		{"scope a list, RFC 8693 §4.2", token(header(), c.with("scope", []string{"read"}))},
		{"scope with a tab", token(header(), c.with("scope", "read\twrite"))},
		{"scope with a quote", token(header(), c.with("scope", `re"ad`))},
		{"scope beyond ASCII", token(header(), c.with("scope", "réad"))},
		{"bound by DPoP, RFC 9449 §7.1", token(header(), c.with("cnf", object{"jkt": thumbprint(nil)}))},
		{"bound to a certificate the request lacks, RFC 8705 §3", token(header(), c.with("cnf", object{"x5t#S256": thumbprint(nil)}))},
		{"bound to nothing known", token(header(), c.with("cnf", object{}))},
		{"cnf null", token(header(), c.with("cnf", nil))},
		{"33 levels of nesting", token(header(), c.with("x", nested(33)))},
	}
	for _, name := range []string{"iss", "aud", "sub", "exp", "iat", "jti", "client_id"} { // RFC 9068 §2.2
		attacks = append(attacks, attack{"no " + name, token(header(), c.without(name))})
	}
	refusedAll(t, attacks)
}

func many(n int) object {
	o := object{}
	for i := range n {
		o[jsonNumber(int64(i))] = i
	}
	return o
}

// ASVS 9.2.1; only the holder of a token that was good is told that it is over.
func TestOnlyWhatWasGoodExpires(t *testing.T) {
	a := newAuthenticator(t, config())
	old := claims().with("iat", time.Now().Unix()-600).with("exp", time.Now().Unix()-120)
	for _, c := range []struct{ name, token, want string }{
		{"a good token that is over", token(header(), old), expired},
		{"exp long ago", token(header(), old.with("exp", 0)), expired},
		{"one for another audience", token(header(), old.with("aud", "x")), invalid},
		{"one of a stranger", sign(otherEC(), "ES256", header().String(), old.String()), invalid},
		{"one not valid yet either", token(header(), old.with("nbf", time.Now().Unix()+600)), invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := a.Authenticate(request(c.token)); outcome(err) != c.want {
				t.Fatalf("got %s, want %s", outcome(err), c.want)
			}
		})
	}
}
