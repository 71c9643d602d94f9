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

	mu   sync.Mutex
	ring []ended // the last ringSize, the oldest at next once it is full
	next int
}

// ended is a revocation, and when this process learned of it.
type ended struct {
	at int64
	v  middleware.Revocation
}

const ringSize = 1024

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
		f.queue.task = f.ask
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
	f.stop = f.auth.Follow(f.revoked)
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

// reportTimeout is how long a revocation of a subject waits for the answers about its members.
const reportTimeout = time.Second

// revoked is called with every revocation. Members with its handles end before it returns.
// The members of a subject are asked about, since only the Auth knows which of its
// credentials are meant; revoked waits for the answers about them, so that a sign-out which has
// returned has ended the members that it reaches. Without an answer a member ends later, when the question is
// given up.
func (f *follow) revoked(v middleware.Revocation) {
	g := f.registry
	f.remember(v)
	if v.Resync {
		f.askAll()
	}
	for _, b := range g.index.list(key{bySession, "", v.SessionHandle}) {
		b.end(Revoked)
	}
	for _, b := range g.index.list(key{byToken, "", v.TokenHandle}) {
		b.end(Revoked)
	}
	if v.Subject == "" {
		return
	}
	var reports []report
	for _, b := range g.index.subject(v.Issuer, v.Subject) {
		if b.follow.Load() == f {
			reports = append(reports, b.reported())
		}
	}
	f.queue.awaitAnswers(reports, g.follows.wait)
}

// askAll has every member of the Auth asked about, because revocations may have been missed. One
// without an answer goes on, until Timeouts.Stale.
func (f *follow) askAll() {
	for b := range f.registry.index.all() {
		if b.follow.Load() == f {
			b.askAgain()
		}
	}
}

// remember enters v in the ring, which is in order of time.
func (f *follow) remember(v middleware.Revocation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := ended{f.registry.Now(), v}
	if len(f.ring) < ringSize {
		f.ring = append(f.ring, e)
		return
	}
	f.ring[f.next] = e
	f.next = (f.next + 1) % ringSize
}

// since returns nil if the principal is as good as when its voucher was asked for. It
// compares with the revocations since, and asks again only if that leaves it open.
func (f *follow) since(ctx context.Context, v *middleware.Voucher, p *middleware.Principal) error {
	asked := int64(v.Asked().Sub(f.registry.start))
	revoked, open := f.compare(asked, p)
	if revoked {
		return middleware.Unauthorized(middleware.ReasonCredentialRevoked, errRevoked)
	}
	if open {
		return f.auth.Alive(ctx, *p)
	}
	return nil
}

var errRevoked = errors.New("live: the credential was revoked while the request was under way")

// compare looks through the ring, from the newest back. open means that the ring does not
// tell: it does not reach back to asked, or a revocation of the subject is in it, or it is
// time to ask anyway, because credentials also end without one.
func (f *follow) compare(asked int64, p *middleware.Principal) (revoked, open bool) {
	if g := f.registry; asked <= f.began || g.Now()-asked >= int64(g.cfg.Timeouts.Recheck) {
		open = f.auth.CanRevoke()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range len(f.ring) {
		e := &f.ring[(f.next-1-i+2*len(f.ring))%len(f.ring)]
		if e.at < asked {
			return false, open
		}
		switch v := &e.v; {
		case v.Resync:
			open = true
		case v.SessionHandle != "" && v.SessionHandle == p.SessionHandle, v.TokenHandle != "" && v.TokenHandle == p.TokenHandle:
			return true, open
		case v.Subject != "" && v.Subject == p.Subject && (v.Issuer == "" || v.Issuer == p.Issuer):
			open = true
		}
	}
	return false, open || len(f.ring) == ringSize
}
