package live

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

var (
	errOrder     = errors.New("live: Bind: call Registry.Reserve first, and Bind once")
	errNoVoucher = errors.New("live: the request has passed no middleware.Auth: mount Auth.Handler in front")
	errLeft      = errors.New("live: the member has ended or left")
)

// Bind enters the member under the voucher's principal, or refuses: 401
// `credential_expired`, `credential_revoked` or `credential_outdated`, 429
// `too_many_connections`, 503 `unavailable` if the Auth cannot be followed or asked. From then on the member may be
// ended, also if Bind returns an error. ctx bounds the question to the Auth.
func (b *Binding) Bind(ctx context.Context, v *middleware.Voucher, m Member) error {
	perPrincipal := 0
	if b.registry != nil {
		perPrincipal = b.registry.cfg.Limits.PerPrincipal
	}
	return b.bind(ctx, v, m, perPrincipal)
}

// bind binds a member of a principal that has fewer than perPrincipal.
func (b *Binding) bind(ctx context.Context, v *middleware.Voucher, m Member, perPrincipal int) error {
	if b.stage.Load() != reserved || b.member != nil {
		return errOrder
	}
	f, p, err := b.registry.vouched(ctx, v)
	if err != nil {
		return err
	}
	b.setMember(m)
	b.follow.Store(f)
	b.id = cmp.Or(p.Connection, middleware.RequestID(ctx))
	if b.id == "" {
		b.id = rand.Text()
	}
	if err := b.enter(p, perPrincipal); err != nil {
		return err
	}
	return f.since(ctx, v, p)
}

// vouched returns the principal of a voucher and its Auth, which is followed; or the refusal
// of a credential that has expired, or of an Auth that cannot be followed.
func (g *Registry) vouched(ctx context.Context, v *middleware.Voucher) (*follow, *middleware.Principal, error) {
	if v == nil {
		return nil, nil, errNoVoucher
	}
	p := v.Shared(contextkey.Key())
	if !p.Expires.IsZero() && time.Until(p.Expires.Round(0)) <= 0 {
		return nil, nil, middleware.Unauthorized(middleware.ReasonCredentialExpired,
			fmt.Errorf("live: the credential expired at %v", p.Expires))
	}
	f, err := g.follow(ctx, v.Auth())
	if err != nil {
		return nil, nil, middleware.Unavailable(err)
	}
	return f, p, nil
}

func (b *Binding) enter(p *middleware.Principal, perPrincipal int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stage.Load() != reserved {
		return errLeft
	}
	g := b.registry
	b.principal.Store(p)
	if !g.index.add(b, p, perPrincipal) {
		return g.refuse(http.StatusTooManyRequests, middleware.ReasonTooManyConnections,
			fmt.Errorf("live: Limits.PerPrincipal is reached: %d", perPrincipal))
	}
	b.keepTimes(p)
	b.stage.Store(bound)
	return nil
}

// keepTimes takes over when the credential ends, and when to ask about it at the latest. Binding.mu is
// held.
func (b *Binding) keepTimes(p *middleware.Principal) {
	b.expires = b.registry.until(p.Expires)
	b.question.due = sooner(b.question.due, b.registry.until(p.RecheckBy()))
}

// Open says that the member is open: its deadlines are kept from now on.
func (b *Binding) Open() {
	if b.registry.wheel.add(b, b.registry.Now()) && b.stage.Load() == bound { // asked at the next tick
		b.registry.emit(Event{Kind: Opened, ID: b.ID(), Principal: *b.principal.Load()})
	}
}
