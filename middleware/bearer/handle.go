package bearer

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// Handle is the Principal.Token of a token with a jti: what to put into a
// middleware.Revocation to take that one token back. It is the base64url SHA-256 of the
// issuer, a NUL and the jti.
func Handle(issuer, jti string) string {
	return handle(issuer + "\x00" + jti)
}

// TokenHandle is the Principal.Token of a token without a jti: the base64url SHA-256 of
// what is signed, that is the token up to its last dot. The signature stays out because a
// holder can make a second valid ECDSA signature out of the first.
func TokenHandle(token string) string {
	if i := strings.LastIndexByte(token, '.'); i >= 0 {
		token = token[:i]
	}
	return handle(token)
}

func handle(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
