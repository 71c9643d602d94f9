package bearer_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

const (
	issuer   = "https://issuer.example"
	audience = "https://api.example"
)

// The keys of the tests. The slow ones are made once.
var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return rsaKeyOf(2048) })
	otherRSA = sync.OnceValue(func() *rsa.PrivateKey { return rsaKeyOf(2048) })
	ecKey    = sync.OnceValue(func() *ecdsa.PrivateKey { return ecKeyOf(elliptic.P256()) })
	ec384    = sync.OnceValue(func() *ecdsa.PrivateKey { return ecKeyOf(elliptic.P384()) })
	ec521    = sync.OnceValue(func() *ecdsa.PrivateKey { return ecKeyOf(elliptic.P521()) })
	otherEC  = sync.OnceValue(func() *ecdsa.PrivateKey { return ecKeyOf(elliptic.P256()) })
	edKey    = sync.OnceValue(func() ed25519.PrivateKey { _, k, _ := ed25519.GenerateKey(rand.Reader); return k })
)

func rsaKeyOf(bits int) *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return k
}

func ecKeyOf(c elliptic.Curve) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

// object is JSON by hand, so that tests can leave out, repeat and misspell.
type object map[string]any

func (o object) with(name string, value any) object {
	c := maps.Clone(o)
	c[name] = value
	return c
}

func (o object) without(name string) object {
	c := maps.Clone(o)
	delete(c, name)
	return c
}

func (o object) String() string {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwk writes the public half of a key by RFC 7518 §6 and RFC 8037 §2.
func jwk(kid string, key any) object {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return object{"kty": "RSA", "kid": kid, "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
	case *ecdsa.PrivateKey:
		point, err := k.PublicKey.Bytes()
		if err != nil {
			panic(err)
		}
		x, y := point[1:1+len(point)/2], point[1+len(point)/2:]
		return object{"kty": "EC", "kid": kid, "crv": k.Params().Name, "x": b64(x), "y": b64(y)}
	case ed25519.PrivateKey:
		return object{"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": b64(k.Public().(ed25519.PublicKey))}
	}
	panic("no such key")
}

func keys(list ...any) []byte { return []byte(object{"keys": list}.String()) }

// goodKeys is the set most tests use; the kids are the names of the algorithms.
func goodKeys() []byte {
	return keys(jwk("rsa", rsaKey()), jwk("ec", ecKey()), jwk("ec384", ec384()), jwk("ec521", ec521()), jwk("ed", edKey()))
}

// unlikeRFC9068 is the Profile of an issuer whose access tokens are told by no nonce alone.
func unlikeRFC9068() bearer.Profile {
	return bearer.Profile{
		Types: []string{"at+jwt", "JWT", ""}, Forbid: []bearer.Claim{bearer.Has("nonce")},
		Optional: []string{"iat", "jti", "client_id"}, Scopes: []string{"scope", "scp"}, ScopeLists: true,
	}
}

func header() object { return object{"alg": "ES256", "kid": "ec", "typ": "at+jwt"} }

func claims() object {
	now := time.Now().Unix()
	return object{
		"iss": issuer, "aud": audience, "sub": "alice", "exp": now + 300, "iat": now, "jti": "token-1",
		"client_id": "app", "scope": "read write",
	}
}

// sign makes a token of any header and payload; the key and alg need not be the header's.
func sign(key any, alg, header, payload string) string {
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	return input + "." + b64(signature(key, alg, input))
}

func signature(key any, alg, input string) []byte {
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[alg[2:]]
	var digest []byte
	if hash != 0 {
		h := hash.New()
		h.Write([]byte(input))
		digest = h.Sum(nil)
	}
	var sig []byte
	var err error
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if strings.HasPrefix(alg, "PS") {
			sig, err = rsa.SignPSS(rand.Reader, k, hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			sig, err = rsa.SignPKCS1v15(rand.Reader, k, hash, digest)
		}
	case *ecdsa.PrivateKey:
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, k, digest); err == nil {
			size := (k.Params().BitSize + 7) / 8
			sig = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}
	case ed25519.PrivateKey:
		sig = ed25519.Sign(k, []byte(input))
	}
	if err != nil {
		panic(err)
	}
	return sig
}

func token(h, c object) string { return sign(ecKey(), "ES256", h.String(), c.String()) }

func request(token string) *http.Request {
	r := httptest.NewRequest("GET", "https://api.example/ws", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

func config() bearer.Config {
	return bearer.Config{Issuer: issuer, Audience: []string{audience}, Keys: goodKeys(), Log: slog.New(slog.DiscardHandler)}
}

func newAuthenticator(t testing.TB, cfg bearer.Config) *bearer.Authenticator {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	a, err := bearer.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// outcome is "accepted", "nothing" for ErrNoCredential, or status and reason.
func outcome(err error) string {
	var f *middleware.Refusal
	switch {
	case err == nil:
		return "accepted"
	case errors.Is(err, middleware.ErrNoCredential):
		return "nothing"
	case errors.As(err, &f):
		return fmt.Sprintf("%d %s", f.Status, f.Reason)
	}
	return "500: " + err.Error()
}

const (
	invalid     = "401 credential_invalid"
	expired     = "401 credential_expired"
	malformed   = "400 credential_malformed"
	unavailable = "503 unavailable"
)

func thumbprint(raw []byte) string { s := sha256.Sum256(raw); return b64(s[:]) }

func mustNotContain(t *testing.T, what, text string, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		if s != "" && bytes.Contains([]byte(text), []byte(s)) {
			t.Errorf("%s tells %q", what, s)
		}
	}
}

func jsonNumber(n int64) string { return fmt.Sprint(n) }

// nested is arrays within arrays.
func nested(levels int) any {
	var v any = 1
	for range levels {
		v = []any{v}
	}
	return v
}
