package middleware

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// Principal is who a request was authenticated as, and by what. It comes from an
// [Auth] only: there is no exported way to put one into a context.
//
// Treat it as immutable. [FromContext] hands out its own copy of Scopes and
// Attributes, so that one handler cannot change what the next one sees.
type Principal struct {
	// Issuer and Subject are the identity, always as a pair: one subject means
	// nothing without the issuer that named it (ASVS 6.8.1, 10.3.3).
	Issuer, Subject string

	// SessionHandle and TokenHandle are handles for revocation: a hash of the session's
	// secret and of the token (or its jti), never the secret itself. Either may
	// be empty.
	SessionHandle, TokenHandle string

	// Connection is the id that the credential reserved for the connection it opens,
	// as a ticket does; empty: the connection chooses its own.
	Connection string

	// Certificate is the client certificate that the credential is bound to: its SHA-256
	// in base64url without padding (RFC 8705 §3.1); empty: to none. Whoever takes such a
	// credential again, or another one for it, wants that certificate of the connection.
	Certificate string

	// Method says what authenticated: "session", "bearer", "ticket", "anonymous".
	Method string

	Scopes     []string
	Attributes map[string]string

	// IssuedAt is when the credential was issued; a [Revocation] of a subject
	// reaches every credential issued before its cut-off.
	IssuedAt time.Time

	// Expires is when the credential ends, leeway included; zero: it does not
	// lapse by itself.
	Expires time.Time
}

// HeldBy reports whether the client at the other end of the TLS connection holds what the
// credential is bound to: the certificate that Certificate names. One that is bound to
// nothing is held by whoever has it. TLS must end here: the state is r.TLS.
func (p Principal) HeldBy(state *tls.ConnectionState) bool {
	if p.Certificate == "" {
		return true
	}
	if state == nil || len(state.PeerCertificates) == 0 {
		return false
	}
	var got, want [43]byte // 32 bytes in base64url
	sum := sha256.Sum256(state.PeerCertificates[0].Raw)
	base64.RawURLEncoding.Encode(got[:], sum[:])
	n := copy(want[:], p.Certificate)
	return n == len(p.Certificate) && subtle.ConstantTimeCompare(got[:], want[:n]) == 1
}

// HasScope reports whether the credential carries the scope.
func (p Principal) HasScope(scope string) bool { return slices.Contains(p.Scopes, scope) }

// Clone returns a copy that shares no memory with p.
func (p Principal) Clone() Principal {
	p.Scopes = slices.Clone(p.Scopes)
	p.Attributes = maps.Clone(p.Attributes)
	return p
}

// LogValue shows identity and method. Handles and attributes stay out of logs
// (ASVS 16.2.5).
func (p Principal) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("issuer", p.Issuer),
		slog.String("subject", p.Subject),
		slog.String("method", p.Method),
	)
}

// voucher binds a principal to the Auth that authenticated it, so that a weaker
// Auth further out does not satisfy a stricter one further in.
type voucher struct {
	by        *Auth
	principal Principal
}

type voucherKey struct{}

func voucherFrom(ctx context.Context) *voucher {
	v, _ := ctx.Value(voucherKey{}).(*voucher)
	return v
}

// FromContext returns the principal that the innermost [Auth] vouched for; false
// where none did.
func FromContext(ctx context.Context) (Principal, bool) {
	v := voucherFrom(ctx)
	if v == nil {
		return Principal{}, false
	}
	return v.principal.Clone(), true
}

// Detach returns base carrying the principal and the request id of request, and
// nothing else of it: net/http cancels a request's context when its handler
// returns, and chi pools what it keeps there. It is how a connection outlives the
// request that opened it.
func Detach(base, request context.Context) context.Context {
	if v := voucherFrom(request); v != nil {
		base = context.WithValue(base, voucherKey{}, v)
	}
	if rec := recordOf(request); rec != nil {
		base = context.WithValue(base, requestIDKey{}, rec.id)
	}
	return base
}
