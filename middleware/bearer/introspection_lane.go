package bearer

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/securews/securews/internal/bounded"
)

const (
	maxInFlight = 32   // introspections at a time, in each lane
	maxInLane   = 1024 // introspections under way or waiting for that, in each lane
)

// lane bounds the introspections of one kind of tokens.
type lane struct {
	inside atomic.Int32
	slots  chan struct{} // one for each introspection under way
	calls  bounded.Caller
}

func newLane() lane {
	return lane{slots: make(chan struct{}, maxInFlight), calls: bounded.NewCaller(nil)}
}

// do calls introspect. It waits for a slot for half of the time that ctx leaves, so that the issuer
// gets no request that is given up at once.
func (l *lane) do(ctx context.Context, introspect func() (*answer, error)) (*answer, error) {
	defer l.inside.Add(-1)
	if l.inside.Add(1) > maxInLane {
		return nil, fmt.Errorf("%w: %d introspections wait already; put a middleware.RateLimit in front", errEndpoint, maxInLane)
	}
	if !l.enter(ctx) {
		return nil, fmt.Errorf("%w: %d introspections are under way for too long; put a middleware.RateLimit in front",
			errEndpoint, maxInFlight)
	}
	a, err := bounded.Call(ctx, l.calls, "introspection", func() (*answer, error) {
		defer func() { <-l.slots }()
		return introspect()
	})
	if err != nil {
		err = fmt.Errorf("%w: %v", errEndpoint, err) // %v: a panic of Authorize is 503
	}
	return a, err
}

func (l *lane) enter(ctx context.Context) bool {
	end, _ := ctx.Deadline()
	timer := time.NewTimer(time.Until(end) / 2)
	defer timer.Stop()
	select {
	case l.slots <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}
