package middleware

import (
	"context"
	"crypto/rand"
	"encoding/base64"
)

type nonceKey struct{}

// Nonce returns the nonce of this answer's Content-Security-Policy, for the nonce
// attribute of its script and style elements (CSP3 §7.1); "" without a nonce in the
// policy. It is fresh for every request: 144 random bits in URL-safe base64, which
// templates do not escape. A page that carries one is for one answer only, so its
// Cache-Control is no-store unless the handler sets another.
func Nonce(ctx context.Context) string {
	nonce, _ := ctx.Value(nonceKey{}).(string)
	return nonce
}

func withNonce(ctx context.Context, nonce string) context.Context {
	return context.WithValue(ctx, nonceKey{}, nonce)
}

func newNonce() string {
	var b [18]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the process first
	return base64.RawURLEncoding.EncodeToString(b[:])
}
