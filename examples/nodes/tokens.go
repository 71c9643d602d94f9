package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"time"
)

const (
	tokenIssuer   = "https://id.example"
	tokenAudience = "https://api.example"
	tokenLife     = 5 * time.Minute
)

// issuer stands for an identity provider: its tokens are not kept in Redis.
type issuer struct{ private ed25519.PrivateKey }

func newIssuer() (*issuer, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	return &issuer{private}, err
}

var base64url = base64.RawURLEncoding.EncodeToString

// document is its key set (RFC 7517 §5; RFC 8037 §2).
func (i *issuer) document() string {
	return `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"1","x":"` +
		base64url(i.private.Public().(ed25519.PublicKey)) + `"}]}`
}

// token returns an access token of the user (RFC 9068).
func (i *issuer) token(user string) (string, error) {
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": tokenIssuer, "aud": tokenAudience, "sub": user, "client_id": "nodes", "jti": rand.Text(),
		"iat": now.Add(-tokenLife).Unix(), // one of the last minute would end with `expired`: see bearer.Config.Leeway
		"exp": now.Add(tokenLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	signed := base64url([]byte(`{"alg":"EdDSA","typ":"at+jwt","kid":"1"}`)) + "." + base64url(claims)
	return signed + "." + base64url(ed25519.Sign(i.private, []byte(signed))), nil
}
