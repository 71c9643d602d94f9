package ws

import (
	"context"
	"fmt"
	"time"
)

// Drain ends the handler's work: new handshakes are answered 503 from now on, live
// connections are closed with 1012 `restart`, spread over Timeouts.DrainSpread or
// half of the time ctx leaves, whichever is less, so that not all clients come back
// in one burst. What was sent before still goes out. Those that are there to say why
// they are refused (Config.ReadableRefusals) have their Timeouts.Close. When ctx ends,
// whoever is left is cut. It returns nil when every Serve has returned, else ctx's error.
//
// http.Server.Shutdown knows nothing of hijacked connections: call both. A second
// call hastens the first where its ctx ends sooner.
func (h *Handler) Drain(ctx context.Context) error {
	if h == nil || h.front == nil {
		return nil
	}
	spread := h.cfg.Timeouts.DrainSpread
	if deadline, ok := ctx.Deadline(); ok {
		spread = min(spread, time.Until(deadline)/2)
	}
	if h.drainStart.Load() == 0 || int64(spread) < h.spread.Load() {
		h.spread.Store(int64(spread))
	}
	h.drainStart.CompareAndSwap(0, h.now())
	h.wheel.hastenAll()
	idle := h.whenIdle()
	select {
	case <-idle:
	case <-ctx.Done():
		h.hurry.Store(true)
		h.wheel.hastenAll()
		if !within(idle, cutTime) {
			return fmt.Errorf("ws: drain: %d connections left, their Serve does not return: %w", h.awaited.Load(), ctx.Err())
		}
	}
	if h.unfollow != nil {
		h.unfollow()
	}
	return nil
}

// cutTime is what the last close frames, the cut and Serve's return may take after
// the drain's deadline.
const cutTime = time.Second

func within(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// await has Drain wait for one that is no place's, until it is gone; false where it drains
// already: who is refused now may be told so, but a stream of them would hold it up.
func (h *Handler) await() bool {
	h.awaited.Add(1)
	if h.drainStart.Load() == 0 {
		return true
	}
	h.gone()
	return false
}

// gone takes one off what Drain waits for.
func (h *Handler) gone() {
	if h.awaited.Add(-1) > 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.idle != nil && h.awaited.Load() == 0 {
		close(h.idle)
		h.idle = nil
	}
}

// whenIdle is closed when the last connection is off the books.
func (h *Handler) whenIdle() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.awaited.Load() == 0 {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	if h.idle == nil {
		h.idle = make(chan struct{})
	}
	return h.idle
}

// drainAt is when a draining handler closes this connection; 0: it does not drain.
func (c *Conn) drainAt() int64 {
	start := c.h.drainStart.Load()
	if start == 0 {
		return 0
	}
	if c.h.hurry.Load() {
		return start
	}
	return start + int64(c.jitter*float64(c.h.spread.Load()))
}
