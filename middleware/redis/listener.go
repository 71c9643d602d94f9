package redis

import (
	"sync/atomic"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

const (
	mostCalls   = 64          // of one function that are under way
	callTimeout = time.Second // that a function may last
)

// listener is a function that follows announcements. One that does not return misses some, keeps no
// other from any, and is called with a Resync when there is room again.
type listener struct {
	log     *endLog
	fn      func(middleware.Revocation)
	slots   chan struct{}
	missed  atomic.Bool
	stopped atomic.Bool
}

// tell has fn called, in a goroutine. It waits for room, the first time that there is none.
func (x *listener) tell(v middleware.Revocation) {
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
	case <-x.log.gone:
		return
	case <-timer.C:
	}
	x.missed.Store(true)
	select {
	case x.slots <- struct{}{}: // the last call has returned before it could know
		x.call(v)
	default:
	}
}

// call has a slot.
func (x *listener) call(v middleware.Revocation) {
	x.log.calls.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				x.log.cfg.Log.Error("redis: a function that follows ends panicked", "cause", bounded.Panicked(p))
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
