package redial

import (
	"math/rand/v2"
	"time"
)

// attempts is the state of a client's back-off, and whether it has already tried a new
// credential.
type attempts struct {
	cfg     Backoff
	step    int  // doublings of Min; -1: nothing has failed
	refused bool // a credential was refused since the last success
}

func newAttempts(cfg Backoff) attempts { return attempts{cfg: cfg, step: -1} }

// succeeded resets the back-off after a connection that lived long enough.
func (a *attempts) succeeded() { a.step, a.refused = -1, false }

// window returns the upper bound of the next delay, without a Retry-After.
func (a *attempts) window() time.Duration {
	w := a.cfg.Min
	for range a.step {
		if w >= a.cfg.Max/2 {
			return a.cfg.Max
		}
		w *= 2
	}
	return min(w, a.cfg.Max)
}

// next returns the delay after another failure: of an open connection, or else of a dial.
func (a *attempts) next(opened bool, retryAfter time.Duration) time.Duration {
	if a.step < 62 {
		a.step++
	}
	for opened && a.window() < a.cfg.Spread {
		a.step++
	}
	return min(retryAfter, a.cfg.RetryAfter) + rand.N(a.window()+1)
}
