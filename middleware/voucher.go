package middleware

import (
	"context"
	"time"

	"github.com/securews/securews/internal/contextkey"
)

// Voucher is the word of an [Auth] about a request: which principal it comes from, and when
// that was established. It binds the principal to the Auth, so that a weaker Auth in an
// outer layer does not satisfy a stricter one behind it. Only an Auth makes one.
type Voucher struct {
	auth      *Auth
	principal *Principal // shared; never changed
	asked     time.Time
}

// VoucherFrom returns the voucher of the innermost [Auth] around; false if there is none.
func VoucherFrom(ctx context.Context) (*Voucher, bool) {
	v, ok := ctx.Value(contextkey.Voucher{}).(*Voucher)
	return v, ok && v != nil
}

// Auth returns the Auth that vouches.
func (v *Voucher) Auth() *Auth { return v.auth }

// Principal returns a copy of the principal.
func (v *Voucher) Principal() Principal { return v.principal.Clone() }

// Shared returns the principal that every holder of the voucher shares and none changes. It
// is for the packages of this module: no other code has an argument for it.
func (v *Voucher) Shared(contextkey.Ours) *Principal { return v.principal }

// Asked returns when the Auth began to ask: a revocation that this process learned of
// before is part of the answer, a later one may not be.
func (v *Voucher) Asked() time.Time { return v.asked }

// FromContext returns the principal that the innermost [Auth] vouched for; false if there
// is none.
func FromContext(ctx context.Context) (Principal, bool) {
	v, ok := VoucherFrom(ctx)
	if !ok {
		return Principal{}, false
	}
	return v.principal.Clone(), true
}

// WithChallenge is [Auth.WithChallenge] of the Auth that vouched for the request whose
// context ctx is, for handlers behind it that refuse the credential after all. Without an
// Auth it names Bearer, since RFC 9110 §15.5.2 requires a scheme.
func WithChallenge(ctx context.Context, err error) error {
	if v, ok := VoucherFrom(ctx); ok {
		return v.auth.WithChallenge(err)
	}
	return (&Auth{challenges: []string{"Bearer"}}).WithChallenge(err)
}
