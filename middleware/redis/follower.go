package redis

import (
	"sync/atomic"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

const (
	mostCalls   = 64          // calls of one follower that may be under way
	callTimeout = time.Second // how long a follower may take while others wait for it
)

// follower is a function that is called with each announcement. If it does not return, it misses some,
// keeps no other follower from any, and is called with a Resync when there is room again.
type follower struct {
	ends    *endLog
	fn      func(middleware.Revocation)
	slots   chan struct{}
	missed  atomic.Bool
	stopped atomic.Bool
}

// tell has fn called, in a goroutine. If there is no room, it waits for callTimeout; after it has missed
// an announcement, it does not wait until a call has returned.
func (x *follower) tell(v middleware.Revocation) {
	select {
	case x.slots <- struct{}{}:
		x.call(v)
		return
	default:
	}
	if x.missed.Load() {
		return
	}
	timer := time.NewTimer(callTimeout)
	defer timer.Stop()
	select {
	case x.slots <- struct{}{}:
		x.call(v)
		return
	case <-x.ends.gone:
		return
	case <-timer.C:
	}
	x.missed.Store(true)
	select {
	case x.slots <- struct{}{}: // the last call returned before missed was set
		x.call(v)
	default:
	}
}

// call calls fn. It has a slot, which it returns.
func (x *follower) call(v middleware.Revocation) {
	x.ends.calls.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				x.ends.cfg.Log.Error("redis: a function that follows ends panicked", "cause", bounded.Panicked(p))
			}
			if <-x.slots; x.missed.Swap(false) {
				x.tell(middleware.Revocation{Resync: true})
			}
		}()
		if !x.stopped.Load() {
			x.fn(v)
		}
	})
}
