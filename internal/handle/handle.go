// Package handle computes the handles of sessions and tokens of other parties.
package handle

import (
	"crypto/sha256"
	"encoding/base64"
)

// Of returns the base64url SHA-256 of the parts with a NUL between them.
func Of(parts ...string) string {
	var buf [512]byte // on the stack, for most handles
	text := buf[:0]
	for i, part := range parts {
		if i > 0 {
			text = append(text, 0)
		}
		text = append(text, part...)
	}
	sum := sha256.Sum256(text)
	var hash [43]byte // 32 bytes in base64url
	base64.RawURLEncoding.Encode(hash[:], sum[:])
	return string(hash[:])
}
