// Package testissuer issues access tokens (RFC 9068) for tests.
package testissuer

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"testing"
	"time"
)

// The issuer and the audience of the tokens.
const (
	Name     = "https://id.example"
	Audience = "https://api.example"
)

// Issuer has a key of its own.
type Issuer struct{ private ed25519.PrivateKey }

// New makes an Issuer.
func New(t testing.TB) *Issuer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &Issuer{private}
}

var base64url = base64.RawURLEncoding.EncodeToString

// KeySet is the public key set (RFC 7517 §5; RFC 8037 §2).
func (i *Issuer) KeySet() string {
	return `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"1","x":"` +
		base64url(i.private.Public().(ed25519.PublicKey)) + `"}]}`
}

// Token returns a token of the subject, issued ten minutes ago and good for an hour, with further
// claims.
func (i *Issuer) Token(subject string, more map[string]any) string {
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": Name, "aud": Audience, "sub": subject, "client_id": "test", "jti": rand.Text(), "iat": now - 600, "exp": now + 3600,
	}
	maps.Copy(claims, more)
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signed := base64url([]byte(`{"alg":"EdDSA","typ":"at+jwt","kid":"1"}`)) + "." + base64url(payload)
	return signed + "." + base64url(ed25519.Sign(i.private, []byte(signed)))
}
