package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/alexedwards/scs/v2"
)

// Call is one call of a session store.
type Call struct {
	Method string   // Find, Commit, Delete, All, Swap, FindMany or Announce, with or without Ctx
	Keys   []string // none for All and Announce
}

// Faults are put in front of a session store by [Faulty]. The functions may be nil, and may
// be called concurrently.
type Faults struct {
	// Before is called ahead of each call. Its error is returned in place of the call.
	Before func(ctx context.Context, c Call) error

	// After is called after each call without an error. Its error replaces the result, as if the
	// connection had been lost before the answer.
	After func(ctx context.Context, c Call) error
}

// ErrFault is the error of a call that [Failing] or [Losing] has fail.
var ErrFault = errors.New("storetest: a fault")

// Faulty returns s with faults in front. The result has methods with a context, is a
// [session.Swapper], a [session.ManyFinder] and a [session.Announcer] if s is one, and lists if s
// can.
func Faulty(s scs.Store, f Faults) scs.Store { return inFront(s, f, nil) }

// Slow returns s with each call delayed by d, or until its context ends.
func Slow(s scs.Store, d time.Duration) scs.Store {
	return Faulty(s, Faults{Before: func(ctx context.Context, _ Call) error {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}})
}

// Blocking returns s with each call delayed until the channel is closed, even if its context
// ends.
func Blocking(s scs.Store, until <-chan struct{}) scs.Store {
	return Faulty(s, Faults{Before: func(context.Context, Call) error {
		<-until
		return nil
	}})
}

// Failing returns s such that its step-th call, counted from 1, fails with [ErrFault] and is
// not made.
func Failing(s scs.Store, step int) scs.Store {
	return Faulty(s, Faults{Before: failAt(step)})
}

// Losing returns s such that its step-th call, counted from 1, is made and fails with
// [ErrFault].
func Losing(s scs.Store, step int) scs.Store {
	return Faulty(s, Faults{After: failAt(step)})
}

func failAt(step int) func(context.Context, Call) error {
	var calls atomic.Int64
	return func(context.Context, Call) error {
		if calls.Add(1) == int64(step) {
			return ErrFault
		}
		return nil
	}
}
