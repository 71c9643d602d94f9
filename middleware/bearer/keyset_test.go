package bearer_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/securews/securews/middleware/bearer"
)

// Sets that hold a good key beside what an issuer may publish one day (RFC 7517 §5: "should
// ignore JWKs within a JWK Set that use kty values that are not understood").
func TestASetWithOneGoodKeyServes(t *testing.T) {
	good := jwk("ec", ecKey())
	raw := func(extra string) []byte { return []byte(`{"keys":[` + extra + "," + good.String() + `]}`) }
	for _, c := range []struct {
		name string
		keys []byte
	}{
		{"alone", keys(good)},
		{"with alg, use and key_ops", keys(good.with("alg", "ES256").with("use", "sig").with("key_ops", []string{"verify"}))},
		{"with x5c and x5t that make no sense", keys(good.with("x5c", []string{"!"}).with("x5t", 7))},
		{"unknown members of the set", []byte(`{"issuer":"x","keys":[` + good.String() + `],"next":{"a":[1]}}`)},
		{"a post-quantum key, kty AKP", raw(`{"kty":"AKP","kid":"pq","alg":"ML-DSA-44","pub":"AAAA"}`)},
		{"an unknown kty", raw(`{"kty":"XYZ","kid":"x"}`)},
		{"an unknown curve", raw(`{"kty":"EC","kid":"x","crv":"secp256k1","x":"AAAA","y":"AAAA"}`)},
		{"a key for key agreement", raw(`{"kty":"OKP","kid":"x","crv":"X25519","x":"` + strings.Repeat("A", 43) + `"}`)},
		{"a key without kid", keys(jwk("", otherEC()).without("kid"), good)},
		{"a key whose kid is a number", keys(jwk("", otherEC()).with("kid", 3), good)},
		{"a symmetric key", raw(`{"kty":"oct","kid":"x","k":"AAAA"}`)},
		{"a private key", keys(jwk("x", otherEC()).with("d", "AAAA"), good)},
		{"a key off its curve", keys(jwk("x", otherEC()).with("y", b64(make([]byte, 32))), good)},
		{"a key with short coordinates", keys(jwk("x", otherEC()).with("x", "AAAA"), good)},
		{"coordinates in padded base64", keys(jwk("x", otherEC()).with("x", strings.Repeat("A", 43)+"="), good)},
		{"members of a wrong type", raw(`{"kty":"RSA","kid":"x","n":1,"e":[]}`)},
		{"a name twice in a key, RFC 7517 §4", raw(`{"kty":"EC","kty":"RSA","kid":"x"}`)},
		{"half of a surrogate pair in a key, RFC 7493 §2.1", raw(`{"kty":"EC","kid":"\ud800"}`)},
		{"half of a surrogate pair beside the keys", []byte(`{"note":"\udc00","keys":[` + good.String() + `]}`)},
		{"elements that are no objects", raw(`null,1,"x",[],{}`)},
		{"the same key twice", keys(good, good)},
		{"an encryption key of the same kid", keys(jwk("ec", otherEC()).with("use", "enc"), good)},
		{"a key of another kind with the same kid, RFC 7517 §4.5", keys(jwk("ec", rsaKey()), good)},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config()
			cfg.Keys = c.keys
			a := newAuthenticator(t, cfg)
			if _, err := a.Authenticate(request(token(header(), claims()))); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Each set has one usable key so that New accepts it; the token's is another one.
func TestKeysThatAreNotUsed(t *testing.T) {
	weak := rsaKeyOf(1024)
	even := *rsaKey()
	even.N = new(big.Int).Add(even.N, big.NewInt(1))
	ecToken := func() string { return token(header().with("kid", "k"), claims()) }
	rsaToken := func() string {
		return sign(rsaKey(), "RS256", `{"alg":"RS256","kid":"k","typ":"at+jwt"}`, claims().String())
	}
	for _, c := range []struct {
		name  string
		keys  []any
		token string
	}{
		{
			"RSA of 1024 bits, RFC 7518 §3.3",
			[]any{jwk("k", weak)},
			sign(weak, "RS256", `{"alg":"RS256","kid":"k","typ":"at+jwt"}`, claims().String()),
		},
		{"RSA with exponent 1", []any{jwk("k", rsaKey()).with("e", "AQ")}, rsaToken()},
		{"RSA with an even exponent", []any{jwk("k", rsaKey()).with("e", "AQAA")}, rsaToken()},
		{"RSA without exponent", []any{jwk("k", rsaKey()).without("e")}, rsaToken()},
		{"RSA with an even modulus", []any{jwk("k", &even)}, rsaToken()},
		{"use enc, RFC 7517 §4.2", []any{jwk("k", ecKey()).with("use", "enc")}, ecToken()},
		{"use in capitals", []any{jwk("k", ecKey()).with("use", "SIG")}, ecToken()},
		{"use null", []any{jwk("k", ecKey()).with("use", nil)}, ecToken()},
		{"key_ops without verify, RFC 7517 §4.3", []any{jwk("k", ecKey()).with("key_ops", []string{"sign"})}, ecToken()},
		{"key_ops empty", []any{jwk("k", ecKey()).with("key_ops", []string{})}, ecToken()},
		{"key_ops a string", []any{jwk("k", ecKey()).with("key_ops", "verify")}, ecToken()},
		{"alg of another curve, RFC 7517 §4.4", []any{jwk("k", ecKey()).with("alg", "ES384")}, ecToken()},
		{"alg for encryption", []any{jwk("k", rsaKey()).with("alg", "RSA-OAEP")}, rsaToken()},
		{"alg null", []any{jwk("k", ecKey()).with("alg", nil)}, ecToken()},
		{"alg PS256 for a token of RS256", []any{jwk("k", rsaKey()).with("alg", "PS256")}, rsaToken()},
		{"private parts", []any{jwk("k", ecKey()).with("d", "AAAA")}, ecToken()},
		{"the curve under another name", []any{jwk("k", ecKey()).with("crv", "p-256")}, ecToken()},
		{"KTY in place of kty", []any{jwk("k", ecKey()).without("kty").with("KTY", "EC")}, ecToken()},
		{"two keys of one kid", []any{jwk("k", ecKey()), jwk("k", otherEC())}, ecToken()},
		{"three keys of one kid, two of them the same", []any{jwk("k", otherEC()), jwk("k", ecKey()), jwk("k", ecKey())}, ecToken()},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config()
			cfg.Keys = keys(append(c.keys, jwk("other", ecKeyOf(elliptic.P256())))...)
			a := newAuthenticator(t, cfg)
			if _, err := a.Authenticate(request(c.token)); outcome(err) != invalid {
				t.Fatalf("got %s", outcome(err))
			}
		})
	}
}

// Under a point of small order the signature of R = 1 and S = 0 verifies for one message in
// eight at least, and no private key is needed.
func TestKeysOfSmallOrder(t *testing.T) {
	points := []string{ // of order 1, 2, 4 and 8, with either sign; the last two are not reduced
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	}
	signature := make([]byte, ed25519.SignatureSize)
	signature[0] = 1
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			x, _ := hex.DecodeString(point)
			var forged string
			for i := 0; ; i++ {
				forged = b64([]byte(`{"alg":"EdDSA","kid":"k","typ":"at+jwt"}`)) + "." +
					b64([]byte(claims().with("jti", strconv.Itoa(i)).String()))
				if ed25519.Verify(x, []byte(forged), signature) {
					break
				}
				if i == 1000 {
					t.Skip("crypto/ed25519 refuses the point by itself")
				}
			}
			cfg := config()
			cfg.Keys = keys(object{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": b64(x)}, jwk("other", ecKey()))
			if got := outcomeOf(newAuthenticator(t, cfg), forged+"."+b64(signature)); got != invalid {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestOneKidForTwoKindsOfKey(t *testing.T) {
	cfg := config()
	cfg.Keys = keys(jwk("k", rsaKey()), jwk("k", ecKey()))
	a := newAuthenticator(t, cfg)
	for _, tok := range []string{
		token(header().with("kid", "k"), claims()),
		sign(rsaKey(), "RS256", `{"alg":"RS256","kid":"k","typ":"at+jwt"}`, claims().String()),
	} {
		if _, err := a.Authenticate(request(tok)); err != nil {
			t.Error(err)
		}
	}
}

func TestRSALeadingZerosAreHarmless(t *testing.T) { // RFC 7518 §6.3.1.1 warns of them
	cfg := config()
	cfg.Keys = keys(jwk("rsa", rsaKey()).with("n", b64(append([]byte{0}, rsaKey().N.Bytes()...))))
	a := newAuthenticator(t, cfg)
	if _, err := a.Authenticate(request(sign(rsaKey(), "RS256", `{"alg":"RS256","kid":"rsa","typ":"at+jwt"}`, claims().String()))); err !=
		nil {
		t.Error(err)
	}
}

// Key sets as they are published: compressed although that was declined, of many tenants, and
// with keys for encryption, which are no reason for a warning.
func TestPublishedKeySets(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write(keys(jwk("ec", ecKey())))
	_ = w.Close()
	many := []any{jwk("ec", ecKey())}
	for i := range 300 {
		many = append(many, jwk(fmt.Sprintf("tenant-%d", i), otherEC()))
	}
	for name, answer := range map[string]http.HandlerFunc{
		"compressed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(zipped.Bytes())
		},
		"of 301 keys":               serves(keys(many...)),
		"with a key for encryption": serves(keys(jwk("ec", ecKey()), jwk("enc", rsaKey()).with("use", "enc").with("alg", "RSA-OAEP"))),
	} {
		t.Run(name, func(t *testing.T) {
			e := newEndpoint(t, answer)
			var log bytes.Buffer
			a := newAuthenticator(t, bearer.Config{
				Issuer: issuer, Audience: []string{audience},
				JWKS: e.URL, HTTPClient: e.Client(), Log: slog.New(slog.NewTextHandler(&log, nil)),
			})
			if got := outcomeOf(a, token(header(), claims())); got != "accepted" {
				t.Errorf("got %s", got)
			}
			_ = a.Close()
			if log.Len() > 0 {
				t.Errorf("the log says %s", log.String())
			}
		})
	}
}
