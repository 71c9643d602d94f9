package redial

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/securews/securews/ws"
)

// Permanent marks an error after which Run ends with err: one of a [Source] that has no
// more credentials, or one of serve, regardless of the connection's state.
func Permanent(err error) error {
	if _, already := err.(*permanent); already || err == nil {
		return err
	}
	return &permanent{err}
}

type permanent struct{ error }

func (p *permanent) Unwrap() error { return p.error }

// decision is the reaction to the end of a connection or to a failed dial.
type decision struct {
	stop  bool
	renew bool          // with a new credential
	wait  time.Duration // before the next dial
}

// decide returns the decision that follows from err, and counts the attempt. An error that
// is neither an HTTP response nor a close frame is a failure of the network, and temporary.
func (a *attempts) decide(cfg *Config, err error, opened bool) decision {
	var final *permanent
	var closed *ws.CloseError
	var answered *HandshakeError
	var again, refused, listed bool
	var after time.Duration
	server := true // the answer is the server's own, and not that of a router or proxy
	switch {
	case errors.As(err, &final):
	case errors.As(err, &answered):
		listed = slices.Contains(cfg.RetryStatuses, answered.Status)
		again, refused, after = answered.Retryable(), answered.Status == http.StatusUnauthorized, answered.RetryAfter
		server = answered.known() && !listed
	case errors.As(err, &closed):
		listed = slices.Contains(cfg.RetryCodes, closed.Code)
		again, refused = closed.Retryable(), closed.Code == ws.ErrExpired.Code
	default:
		again = true
	}
	if !again && !listed || refused && a.refused && server && after == 0 {
		return decision{stop: true}
	}
	a.refused = a.refused || refused && server
	// The credential is this client's alone, so no other clients reconnect at the same time.
	return decision{renew: refused, wait: a.next(opened && !refused, after)}
}
