package middleware

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/securews/securews/internal/contextkey"
)

// Voucher is the word of an [Auth] about a request: which principal it comes from, and when
// that was established. It binds the principal to the Auth, so that a weaker Auth in an
// outer layer does not satisfy a stricter one behind it. Only an Auth makes one.
type Voucher struct {
	auth      *Auth
	principal Principal     // shared; never changed
	asked     time.Duration // since epoch: a third of a time, for as long as a connection
}

// epoch is the moment from which vouchers count.
var epoch = time.Now()

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
// is for the packages of this module, which pass contextkey.Key(); anything else gets a copy.
func (v *Voucher) Shared(key contextkey.Ours) *Principal {
	if !key.Valid() {
		p := v.Principal()
		return &p
	}
	return &v.principal
}

// Asked returns when the Auth began to ask: a revocation that this process learned of
// before is part of the answer, a later one may not be. Compare it with moments of this process
// alone: its monotonic reading is exact, and its wall clock that of the start.
func (v *Voucher) Asked() time.Time { return epoch.Add(v.asked) }

// FromContext returns the principal that the innermost [Auth] vouched for; false if there
// is none.
func FromContext(ctx context.Context) (Principal, bool) {
	v, ok := VoucherFrom(ctx)
	if !ok {
		return Principal{}, false
	}
	return v.Principal(), true
}

// challengesOf returns the challenges of the Auth that vouched for the request, which a 401
// behind it names; without one, Bearer.
func challengesOf(ctx context.Context) []string {
	if v, ok := VoucherFrom(ctx); ok && len(v.auth.challenges) > 0 {
		return slices.Clone(v.auth.challenges)
	}
	return []string{"Bearer"}
}

// WithChallenge returns err with the WWW-Authenticate that RFC 9110 §15.5.2 requires of
// every 401, if err is a [Refusal] of that status without one. It is for handlers that call
// this Auth themselves; behind [Auth.Handler] and [Auth.Admit], [Refuse] adds the same.
func (a *Auth) WithChallenge(err error) error {
	f, ok := errors.AsType[*Refusal](err)
	if a == nil || !ok || f == nil || f.Status != http.StatusUnauthorized || f.Header.Get("WWW-Authenticate") != "" ||
		len(a.challenges) == 0 {
		return err
	}
	g := *f
	g.Header = f.Header.Clone()
	if g.Header == nil {
		g.Header = http.Header{}
	}
	g.Header["Www-Authenticate"] = slices.Clone(a.challenges)
	return &g
}
