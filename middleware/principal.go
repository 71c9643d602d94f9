package middleware

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/internal/recheckby"
)

// Principal is the identity that a request was authenticated as, and the credential that
// proved it. Only an [Auth] puts one into a context.
//
// Treat it as immutable. [FromContext] returns a copy with Scopes, Roles, Attributes and
// Claims of its own, so that one handler cannot change the principal of the next.
type Principal struct {
	// Issuer and Subject are the identity, always as a pair: one subject means
	// nothing without the issuer that named it (ASVS 6.8.1, 10.3.3).
	Issuer, Subject string

	// SessionHandle and TokenHandle are handles for revocation: a hash of the session's
	// secret, and of the token or its jti, never the secret itself. Either may be empty. A
	// handle does not change while the credential lives: if a session gets a new secret, its
	// SessionHandle stays, or the old one is revoked. Otherwise a logout does not reach what
	// the session opened before.
	SessionHandle, TokenHandle string

	// Connection is the id that the credential reserved for the connection it opens,
	// as a ticket does; empty: the connection chooses its own.
	Connection string

	// Binding is the key that the client must prove to hold; the zero value: none.
	Binding Binding

	// SigningKey is the issuer's key that verified the credential: its JWK SHA-256
	// thumbprint (RFC 7638 §3); empty: none. The credential ends when the issuer withdraws
	// that key.
	SigningKey string

	// SealedToken is the credential itself, encrypted by its authenticator, which asks its
	// issuer about it again; empty: none.
	SealedToken string

	// Method is the kind of credential: "session", "bearer", "ticket", "anonymous".
	Method string

	// Scopes are the scopes of the credential, Roles the roles of the user.
	Scopes, Roles []string

	// Attributes are further texts about the principal: those of session.Identity, or the claims
	// that bearer.Config.Attributes names.
	Attributes map[string]string

	// Claims are the claims that bearer.Config.Claims names, as JSON: null for one that the
	// token does not have. A [ClaimKey] reads them.
	Claims map[string]string

	// IssuedAt is when the credential was issued; a [Revocation] of a subject
	// reaches every credential issued before its cut-off.
	IssuedAt time.Time

	// AuthTime is when the user last proved an identity, as auth_time in OpenID Connect
	// Core 1.0 §2; zero: not known.
	AuthTime time.Time

	// Expires is when the credential ends, leeway included; zero: it has no end of its
	// own.
	Expires time.Time

	// recheckBy is the time of RecheckBy in Unix nanoseconds; 0: none. It is one word, since a
	// connection keeps its principal.
	recheckBy int64
}

// RecheckBy returns the time that the function [RecheckBy] was called with when the credential was
// accepted; the zero time: it was not.
func (p *Principal) RecheckBy() time.Time { return recheckby.Time(p.recheckBy) }

// SetRecheckBy has RecheckBy return t. It is for the packages of this module, which pass
// contextkey.Key().
func (p *Principal) SetRecheckBy(key contextkey.Ours, t time.Time) {
	if key.Valid() {
		p.recheckBy = recheckby.Nanoseconds(t)
	}
}

// Binding is the key that a credential is bound to. A client that has the credential but
// not the key is refused.
type Binding struct {
	// CertificateSHA256 is the SHA-256 of a client certificate in base64url without
	// padding (RFC 8705 §3.1); empty: none.
	CertificateSHA256 string

	// KeyThumbprint is the JWK SHA-256 thumbprint of a key that signs a proof for each
	// request (RFC 9449 §6.1); empty: none. Such proofs cannot be verified yet, so
	// [Principal.HeldBy] refuses.
	KeyThumbprint string
}

var (
	errCertificate = Unauthorized(ReasonCredentialInvalid,
		errors.New("middleware: the credential is bound to a client certificate, and the connection shows another or none"))
	errProof = Unauthorized(ReasonCredentialInvalid,
		errors.New("middleware: the credential is bound to a key whose proof cannot be verified (RFC 9449)"))
)

// HeldBy returns nil if the request proves possession of the keys in Binding, or if there
// are none; otherwise a [Refusal] of 401 `credential_invalid`. A certificate is proved by
// the TLS connection of the request, r.TLS, so TLS must end in this process.
func (p Principal) HeldBy(r *http.Request) error {
	switch {
	case p.Binding.KeyThumbprint != "":
		return errProof
	case p.Binding.CertificateSHA256 == "":
		return nil
	case r.TLS == nil || len(r.TLS.PeerCertificates) == 0:
		return errCertificate
	}
	var got, want [43]byte // 32 bytes in base64url
	sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
	base64.RawURLEncoding.Encode(got[:], sum[:])
	n := copy(want[:], p.Binding.CertificateSHA256)
	if n != len(p.Binding.CertificateSHA256) || subtle.ConstantTimeCompare(got[:], want[:n]) != 1 {
		return errCertificate
	}
	return nil
}

// HasScope reports whether the credential carries the scope.
func (p Principal) HasScope(scope string) bool { return slices.Contains(p.Scopes, scope) }

// HasRole reports whether the user has the role.
func (p Principal) HasRole(role string) bool { return slices.Contains(p.Roles, role) }

// Clone returns a copy that shares no memory with p.
func (p Principal) Clone() Principal {
	p.Scopes = slices.Clone(p.Scopes)
	p.Roles = slices.Clone(p.Roles)
	p.Attributes = maps.Clone(p.Attributes)
	p.Claims = maps.Clone(p.Claims)
	return p
}

// LogValue shows identity and method. Handles and attributes stay out of logs
// (ASVS 16.2.5).
func (p Principal) LogValue() slog.Value {
	identity := p.identity()
	return slog.GroupValue(identity[:]...)
}

func (p *Principal) identity() [3]slog.Attr {
	return [3]slog.Attr{slog.String("issuer", p.Issuer), slog.String("subject", p.Subject), slog.String("method", p.Method)}
}
