package bearer

import (
	"strings"

	"github.com/securews/securews/internal/handle"
)

// TokenHandle is the Principal.TokenHandle of a token with a jti: a middleware.Revocation
// with it revokes that one token. It is the base64url SHA-256 of the issuer, a NUL and the
// jti.
func TokenHandle(issuer, jti string) string {
	return handle.Of(issuer, jti)
}

// TokenHandleOf is the Principal.TokenHandle of a token without a jti: the base64url SHA-256
// of an opaque token, and of the signed part of a JWT, that is of all before its last dot. The
// signature is left out because a holder can make a second valid ECDSA signature out of the
// first.
func TokenHandleOf(token string) string {
	if isJWS(token) {
		token = signedPart(token)
	}
	return handle.Of(token)
}

func signedPart(jws string) string { return jws[:strings.LastIndexByte(jws, '.')] }

// SessionHandle is the Principal.SessionHandle of a token with a sid claim, without
// Config.Sessions: a middleware.Revocation with it revokes all tokens of that session at
// the issuer (OpenID Connect Back-Channel Logout 1.0 §2.1). It is the base64url SHA-256 of
// the issuer, a NUL and the sid.
func SessionHandle(issuer, sid string) string {
	return handle.Of(issuer, sid)
}
