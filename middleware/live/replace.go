package live

import (
	"context"
	"errors"

	"github.com/securews/securews/middleware"
)

var errIdentity = errors.New("live: Replace: the voucher is of another issuer or subject")

// Replace replaces the principal by that of a newer voucher of the same issuer and subject,
// after a client has renewed its credential. It refuses as [Binding.Bind] does, and then
// the member keeps the old one. If the new credential is revoked meanwhile, or the Auth
// cannot be asked whether it was, the member ends.
func (b *Binding) Replace(ctx context.Context, v *middleware.Voucher) error {
	f, p, err := b.registry.vouched(ctx, v)
	if err != nil {
		return err
	}
	if err := f.since(ctx, v, p); err != nil {
		return err
	}
	if err := b.swap(f, p); err != nil {
		return err
	}
	if err := f.since(ctx, v, p); err != nil { // entered first, then asked
		cause, _ := causeOf(err)
		if cause == nil {
			cause = Later.Wrap(err)
		}
		b.end(cause)
		return err
	}
	b.Hasten(b.registry.Now())
	return nil
}

func (b *Binding) swap(f *follow, p *middleware.Principal) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.principal.Load()
	switch {
	case b.stage.Load() != bound || b.ending.at.Load() != 0:
		return errLeft
	case old.Issuer != p.Issuer || old.Subject != p.Subject:
		return errIdentity
	}
	b.registry.index.replace(b, old, p)
	b.follow.Store(f)
	b.question.renew(b.registry.Now(), b.recheckPause())
	b.keepTimes(p)
	return nil
}
