package live

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

// Member is something open that a registry ends. None of its methods is to block; one that
// does is not called again until it returns, and holds up no other member. A panic is
// contained, and logged once for each member.
type Member interface {
	// End begins the end of the member, for the cause. It is called with the first cause
	// that the registry finds; and a second time, with one that is [Revoked] or [Forbidden] in
	// errors.Is, if the first was neither and the credential is revoked, or its principal
	// forbidden, afterwards: then nothing that is on its way is for the peer any more. Calls do
	// not overlap; one may still come while the member leaves, as one of Next may.
	End(cause *Cause)

	// Next acts on the member's own deadlines and returns when it is to be called again,
	// in the time of [Registry.Now]; 0: no deadline. It is called at the tick after Open
	// and then at least once in 64 s until the member leaves, also after End. If hurry is
	// set, a shutdown is out of time, and the member ends as fast as it can.
	Next(now int64, hurry bool) (due int64)
}

// Binding ties a member to the principal of the request that opened it. The zero value is
// ready for [Registry.Reserve]. Its methods are safe for concurrent use, except that
// Reserve, Bind, Open and Leave are called in this order, Leave at any time.
type Binding struct {
	registry  *Registry
	member    Member
	follow    atomic.Pointer[follow] // of the Auth that vouches
	principal atomic.Pointer[middleware.Principal]
	id        string
	share     *share
	opened    atomic.Int64
	jitter    float32 // in [0, 1), the binding's own
	stage     atomic.Uint32
	place     place
	links     [indexKinds]links
	ofSubject int32 // the length of the list of its subject, if it is the head; guarded as links are
	nexts     nexts

	mu       sync.Mutex // guards the fields below; orders Bind, Replace and Leave
	expires  int64      // end of the credential as it was computed first; 0: none
	question question
	ending   ending
}

// The stages of a Binding.
const (
	reserved uint32 = iota + 1
	bound
	explaining
	explainingLate // Shutdown does not wait for it
	left
)

func (b *Binding) init(g *Registry, stage uint32) {
	b.registry, b.jitter = g, mathrand.Float32()
	b.opened.Store(g.Now())
	b.question.renew(b)
	b.stage.Store(stage)
}

// ID returns the id of the connection: the one that the credential reserved, as a ticket
// does, else that of the request in the access log, else 128 random bits. It is not secret
// and grants nothing.
func (b *Binding) ID() string { return b.id }

// Opened returns when the place was reserved, in the time of [Registry.Now]; earlier by the
// time that the machine was suspended since.
func (b *Binding) Opened() int64 { return b.opened.Load() }

// Jitter returns a number in [0, 1), the binding's own, by which a member can spread what
// it does.
func (b *Binding) Jitter() float64 { return float64(b.jitter) }

// Principal returns a copy of the current principal.
func (b *Binding) Principal() middleware.Principal {
	if p := b.principal.Load(); p != nil {
		return p.Clone()
	}
	return middleware.Principal{}
}

// Shared returns the current principal, which every holder shares and none changes; nil
// before Bind. It is for the packages of this module, which pass contextkey.Key(); anything
// else gets a copy.
func (b *Binding) Shared(key contextkey.Ours) *middleware.Principal {
	if !key.Valid() {
		p := b.Principal()
		return &p
	}
	return b.principal.Load()
}

var (
	errOrder     = errors.New("live: Bind: call Registry.Reserve first, and Bind once")
	errNoVoucher = errors.New("live: the request has passed no middleware.Auth: mount Auth.Handler in front")
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
	b.expires = g.until(p.Expires)
	b.stage.Store(bound)
	return nil
}

// Open says that the member is open: its deadlines are kept from now on.
func (b *Binding) Open() {
	if b.registry.wheel.add(b, b.registry.Now()) && b.stage.Load() == bound { // asked at the next tick
		b.registry.emit(Event{Kind: Opened, ID: b.ID(), Principal: *b.principal.Load()})
	}
}

// Hasten has Member.Next called at the given time, if that is earlier than planned.
func (b *Binding) Hasten(at int64) { b.registry.wheel.hasten(b, at) }

// Leave takes the member off the books and gives its place back. Cause is why it ended; nil
// if it was never open. Further calls do nothing.
func (b *Binding) Leave(cause *Cause) {
	stage, opened := b.leave()
	g := b.registry
	switch stage {
	case explaining:
		g.explaining.Add(-1)
		g.await(-1)
	case explainingLate:
		g.explaining.Add(-1)
	case reserved, bound:
		g.addresses.leave(b.share)
		g.open.Add(-1)
		if opened && cause != nil {
			g.emit(Event{
				Kind: Ended, ID: b.ID(), Principal: *b.principal.Load(),
				Cause: cause, Lasted: time.Duration(g.Now() - b.opened.Load()),
			})
		}
		g.await(-1)
	}
}

// leave returns the stage that the binding has left, and whether Open was called.
func (b *Binding) leave() (stage uint32, opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	stage = b.stage.Swap(left)
	if stage == left || stage == 0 {
		b.stage.Store(stage)
		return 0, false
	}
	opened = b.registry.wheel.remove(b)
	if stage == bound {
		b.registry.index.remove(b, b.principal.Load())
	}
	if b.ending.counted {
		b.registry.told.Add(-1)
	}
	return stage, opened
}
