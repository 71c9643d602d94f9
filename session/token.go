package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

const (
	tokenBytes = 32 // 256 bits of crypto/rand; ASVS 7.2.3, 11.5.1 want 128
	tokenLen   = 43 // as unpadded base64url
)

// newToken returns a secret for a cookie and its handle.
func newToken() (token, handle string) {
	var b [tokenBytes]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand
	return encode32(&b), handleOf(&b)
}

// handleOf returns the key in the store, which is the handle in principals and
// revocations. The cookie cannot be computed from it.
func handleOf(secret *[tokenBytes]byte) string {
	sum := sha256.Sum256(secret[:])
	return encode32(&sum)
}

func encode32(b *[tokenBytes]byte) string {
	var text [tokenLen]byte
	base64.RawURLEncoding.Encode(text[:], b[:])
	return string(text[:])
}

// parseToken returns the handle of a cookie's value; false if this package cannot have
// sent the value.
func parseToken(value string) (handle string, ok bool) {
	b, ok := decode32(value)
	if !ok {
		return "", false
	}
	return handleOf(&b), true
}

// isHandle reports whether a store may have a record under the key.
func isHandle(s string) bool {
	_, ok := decode32(s)
	return ok
}

func decode32(s string) (b [tokenBytes]byte, ok bool) {
	if len(s) != tokenLen {
		return b, false
	}
	var text [tokenLen]byte
	copy(text[:], s)
	// DecodedLen(43) is 32, but a hostile '\n' is skipped and leaves fewer.
	n, err := base64.RawURLEncoding.Strict().Decode(b[:], text[:])
	return b, err == nil && n == tokenBytes
}
