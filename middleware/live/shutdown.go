package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

// Shutdown ends everything in good order, for main to call when the process is told to
// stop:
//
//  1. [Registry.Ready] answers 503, and so do new members (`draining`);
//  2. members end with 1012 `restart`, spread over Timeouts.Spread or half of the time that
//     ctx leaves, whichever is less, so that not all clients come back at once; data sent
//     before still goes out;
//  3. the servers are shut down ([http.Server.Shutdown]), so that until then they still
//     answer.
//
// When ctx ends, the members that are left are told at once and cut, and the servers are
// closed; that takes up to 3 s more. A cancelled ctx thus hastens, for a second signal.
//
// It returns nil if every member of this registry has ended; another registry's go on.
// http.Server.Shutdown alone does not wait for connections that were upgraded, nor for
// functions of RegisterOnShutdown. A second call hastens the first if its ctx ends sooner.
func (g *Registry) Shutdown(ctx context.Context, servers ...*http.Server) error {
	if g.zero() {
		return shutServers(ctx, servers)
	}
	drained := g.drain(ctx)
	g.stopFollowing()
	shut := shutServers(ctx, servers)
	g.events.flush()
	return errors.Join(drained, shut)
}

func shutServers(ctx context.Context, servers []*http.Server) error {
	errs := make([]error, len(servers))
	var done sync.WaitGroup
	for i, s := range servers {
		done.Go(func() {
			err := s.Shutdown(ctx)
			switch {
			case err != nil && ctx.Err() != nil:
				errs[i] = fmt.Errorf("live: Shutdown: a server's requests are not done, and were cut: %w", err)
				_ = s.Close()
			case err != nil:
				errs[i] = fmt.Errorf("live: Shutdown: a server: %w", err)
			}
		})
	}
	done.Wait()
	return errors.Join(errs...)
}

// cutTime is how long the last close frames, the cut and the return of the members may take
// after ctx has ended.
const cutTime = 3 * time.Second

func (g *Registry) drain(ctx context.Context) error {
	spread := g.cfg.Timeouts.Spread
	if deadline, ok := ctx.Deadline(); ok {
		spread = max(0, min(spread, time.Until(deadline)/2))
	}
	g.beginDraining(int64(spread))
	g.wheel.hastenAll()
	idle := g.whenIdle()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}
	g.hurry.Store(true)
	g.wheel.hastenAll()
	if !returnsWithin(idle, cutTime) {
		return fmt.Errorf("live: Shutdown: %s: %w", g.left(), ctx.Err())
	}
	return nil
}

// beginDraining begins the shutdown, or hastens the one under way.
func (g *Registry) beginDraining(spread int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.draining.Load() == 0 || spread < g.spread.Load() {
		g.spread.Store(spread)
	}
	g.draining.CompareAndSwap(0, g.Now())
}

// whenIdle is closed when the last member has left.
func (g *Registry) whenIdle() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.awaited == 0 {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	return g.idle
}

// left says what Shutdown still waits for.
func (g *Registry) left() string {
	g.mu.Lock()
	awaited := g.awaited
	g.mu.Unlock()
	open, told := int(g.open.Load()), int(g.told.Load())
	return fmt.Sprintf("%d left: %d members have not returned though they were told to end, %d are still being opened or were not "+
		"reached, %d readable refusals are under way",
		awaited, told, open-told, awaited-open)
}

// drainAt is when a shutdown ends this member; 0: there is none.
func (g *Registry) drainAt(b *Binding) int64 {
	began := g.draining.Load()
	if began == 0 || g.hurry.Load() {
		return began
	}
	return began + int64(b.Jitter()*float64(g.spread.Load()))
}

var errNotReady = errors.New("live: Ready: Shutdown has begun, or this is the zero Registry")

// readyTimeout is how long the checks of [Registry.Ready] may take together.
const readyTimeout = 2 * time.Second

// Ready returns the handler of a readiness probe: 200 until Shutdown is called, then 503
// `draining`. While a check fails, for instance Ready of package redis, it is 503 `unavailable`. Each
// probe calls the checks one after the other; one that panics fails, and so does one that has not returned
// 2 s after the probe began. Probes may be concurrent. That of the zero Registry is 503 `draining`.
func (g *Registry) Ready(checks ...func(context.Context) error) http.Handler {
	calls := bounded.NewCaller(nil)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.zero() || g.draining.Load() != 0 {
			middleware.Refuse(w, r, g.refuse(http.StatusServiceUnavailable, middleware.ReasonDraining, errNotReady))
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		for _, check := range checks {
			_, err := bounded.Call(ctx, calls, "live: Ready", func() (struct{}, error) { return struct{}{}, check(ctx) })
			if err != nil {
				middleware.Refuse(w, r, middleware.Unavailable(err))
				return
			}
		}
		h := w.Header()
		h.Set("Content-Type", "application/json; charset=utf-8")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		_ = json.NewEncoder(w).Encode(struct {
			Ready bool `json:"ready"`
		}{true})
	})
}
