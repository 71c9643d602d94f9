package redial

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/securews/securews/ws"
)

// action is the kind of a reaction. The page's client has the same words.
type action int

const (
	doStop  action = iota // Run ends
	doRetry               // another dial
	doRenew               // another dial, with a new credential
	doServe               // the connection that a renewal has opened
)

// next is the reaction to an ending.
type next struct {
	do     action
	least  time.Duration // before a dial: Retry-After, at most Backoff.RetryAfter
	window time.Duration // of the random time after it
}

// delay returns a random delay before the dial.
func (n next) delay() time.Duration { return n.least + rand.N(n.window+1) }

// history sums up the endings so far. The zero value: nothing has failed.
type history struct {
	failures int  // in a row, as the back-off counts them
	refused  bool // a credential was refused since the last success
	renew    bool // a credential was refused, and the source has returned none since
}

// follow returns the reaction to an ending, and the history that includes it.
func (h history) follow(e ending, cfg *Config) (next, history) {
	stable := cfg.Timeouts.Stable
	if e.lasted(stable) {
		h.failures = 0
	}
	if e.accepted(stable) {
		h.refused = false
	}
	if e.renewed() {
		return next{do: doServe}, h
	}
	m := meaningOf(e.cause, cfg)
	if m.do == doStop || m.refused && h.refused && m.after == 0 {
		return next{do: doStop}, h
	}
	var none *noCredential
	h.refused = h.refused || m.refused
	h.renew = m.do == doRenew || h.renew && errors.As(e.cause, &none)
	planned := e.opened && m.do == doRenew // the end of a credential does not count as a failure
	if !planned {
		h.failures = failuresAfter(h.failures, e.opened, &cfg.Backoff)
	}
	switch {
	case e.next != nil:
		return next{do: doServe}, h
	case planned: // at most once, unless the connection has lived for acceptedAfter
		return next{do: doRenew, window: cfg.Backoff.Min}, h
	}
	return next{m.do, min(m.after, cfg.Backoff.RetryAfter), cfg.Backoff.window(h.failures)}, h
}

// failuresAfter counts another failure. If an open connection was lost, the window is at least
// Backoff.Spread.
func failuresAfter(failures int, lost bool, b *Backoff) int {
	failures = min(failures+1, 63)
	for lost && b.window(failures) < b.Spread {
		failures++
	}
	return failures
}

// meaning is the reaction to a cause alone, regardless of the endings before it.
type meaning struct {
	do      action
	refused bool          // the server itself refused the credential, and not a router or proxy
	after   time.Duration // Retry-After
}

// meaningOf returns the meaning of a cause. An error that is neither an HTTP response nor a
// close frame is a failure of the network, and temporary.
func meaningOf(cause error, cfg *Config) meaning {
	var final *permanent
	var answered *HandshakeError
	var closed *ws.CloseError
	switch {
	case cause == nil, errors.As(cause, &final):
		return meaning{do: doStop}
	case errors.As(cause, &answered):
		return meaningOfAnswer(answered, slices.Contains(cfg.RetryStatuses, answered.Status))
	case errors.As(cause, &closed):
		return meaningOfClose(closed, slices.Contains(cfg.RetryCodes, closed.Code))
	}
	return meaning{do: doRetry}
}

// meaningOfClose returns the meaning of a close code; listed: Config.RetryCodes contains it.
func meaningOfClose(e *ws.CloseError, listed bool) meaning {
	switch {
	case e.Retryable() && e.Code == ws.ErrExpired.Code:
		return meaning{do: doRenew, refused: true}
	case e.Retryable(), listed:
		return meaning{do: doRetry}
	}
	return meaning{do: doStop}
}

// meaningOfAnswer returns the meaning of an HTTP response; listed: Config.RetryStatuses
// contains its status.
func meaningOfAnswer(e *HandshakeError, listed bool) meaning {
	switch {
	case e.Status == http.StatusUnauthorized:
		return meaning{doRenew, e.known() && !listed, e.RetryAfter}
	case e.Retryable(), listed:
		return meaning{do: doRetry, after: e.RetryAfter}
	}
	return meaning{do: doStop}
}
