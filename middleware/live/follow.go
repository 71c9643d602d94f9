package live

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

// follows are the Auths that this registry has met.
type follows struct {
	mu      sync.Mutex
	of      map[*middleware.Auth]*follow
	stopped bool
	wait    time.Duration // reportTimeout, except in tests

	ask     func(*follow, *Binding)              // asks a followed Auth about a binding
	revoked func(*follow, middleware.Revocation) // is called with its revocations
}

// follow is one Auth, followed since the first of its vouchers.
type follow struct {
	registry *Registry
	auth     *middleware.Auth
	queue    recheckQueue
	grouping sync.Mutex
	answered atomic.Int64 // when a question was last answered

	done  chan struct{} // closed when Follow has returned
	err   error         // then: it panicked
	began int64         // then: revocations from here on are known
	stop  func()

	revocations ring
}

// followTimeout bounds the wait for Follow, which is to return at once.
const followTimeout = 2 * time.Second

// follow returns the state of an Auth, and follows it if this is its first voucher.
func (g *Registry) follow(ctx context.Context, a *middleware.Auth) (*follow, error) {
	f := g.follows.find(g, a)
	if f == nil {
		return nil, errStopped
	}
	select {
	case <-f.done:
		return f, f.err
	default:
	}
	t := time.NewTimer(followTimeout)
	defer t.Stop()
	select {
	case <-f.done:
		return f, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("live: Follow: %w", ctx.Err())
	case <-t.C:
	}
	select {
	case <-f.done: // a busy machine has run the timer first
		return f, f.err
	default:
		return nil, fmt.Errorf("live: Follow: an authenticator has not returned from it within %v", followTimeout)
	}
}

var errStopped = errors.New("live: Shutdown has ended: no Auth is followed any more")

// find returns nil if the Auth is not followed, and no longer can be.
func (x *follows) find(g *Registry, a *middleware.Auth) *follow {
	x.mu.Lock()
	defer x.mu.Unlock()
	f := x.of[a]
	if f == nil && !x.stopped {
		f = &follow{registry: g, auth: a, done: make(chan struct{})}
		f.queue.task = func(b *Binding) { x.ask(f, b) }
		x.of[a] = f
		go f.begin()
	}
	return f
}

func (f *follow) begin() {
	defer close(f.done)
	f.err = errNotFollowed // unless Follow returns: runtime.Goexit ends it too
	defer func() {
		if v := recover(); v != nil {
			f.err = fmt.Errorf("live: Follow: %w", bounded.Panicked(v))
		}
		if f.err != nil {
			f.registry.unfollow(f)
		}
	}()
	f.stop = f.auth.Follow(func(v middleware.Revocation) { f.registry.follows.revoked(f, v) })
	f.began, f.err = f.registry.Now(), nil
}

var errNotFollowed = errors.New("live: an authenticator's Follow called runtime.Goexit")

// unfollow has the next voucher of the Auth try again.
func (g *Registry) unfollow(f *follow) {
	g.follows.mu.Lock()
	defer g.follows.mu.Unlock()
	if g.follows.of[f.auth] == f {
		delete(g.follows.of, f.auth)
	}
}

// stopFollowing stops every Follow, also one that has not returned yet. It waits for those
// that have returned, at most followTimeout.
func (g *Registry) stopFollowing() {
	g.follows.mu.Lock()
	stopping := maps.Clone(g.follows.of)
	clear(g.follows.of)
	g.follows.stopped = true
	g.follows.mu.Unlock()
	stopped := make(chan struct{})
	var all sync.WaitGroup
	for _, f := range stopping {
		select {
		case <-f.done:
			all.Go(f.end)
		default:
			go f.end()
		}
	}
	go func() { all.Wait(); close(stopped) }()
	returnsWithin(stopped, followTimeout)
}

// end stops Follow once that has returned. The panic of a stop is contained.
func (f *follow) end() {
	defer func() {
		if v := recover(); v != nil {
			f.registry.cfg.Log.Error("live: the stop of a Follow panicked", "cause", bounded.Panicked(v))
		}
	}()
	if <-f.done; f.stop != nil {
		f.stop()
	}
}

var errRevoked = errors.New("live: the credential was revoked while the request was under way")

// since returns nil if the principal is as good as when its voucher was asked for. It
// compares with the revocations since, and asks again only if that leaves it open, or if it is
// time to ask anyway, because credentials also end without a revocation.
func (f *follow) since(ctx context.Context, v *middleware.Voucher, p *middleware.Principal) error {
	g := f.registry
	asked := int64(v.Asked().Sub(g.start))
	revoked, open := f.revocations.since(asked, p)
	if revoked {
		return middleware.Unauthorized(middleware.ReasonCredentialRevoked, errRevoked)
	}
	by := g.until(p.RecheckBy())
	due := asked <= f.began || g.Now()-asked >= int64(g.cfg.Timeouts.Recheck) || by > asked && past(by, g.Now())
	if open || due && f.auth.CanRevoke() {
		return f.auth.Alive(ctx, *p)
	}
	return nil
}
