package redial

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/securews/securews/internal/opening"
	"github.com/securews/securews/ws"
)

// HandshakeError is an HTTP answer other than 101, or other than 2xx from a ticket
// route.
type HandshakeError struct {
	Status     int
	Reason     string        // the stable word of a securews refusal, else empty
	RetryAfter time.Duration // 0: none was given
	what       string
}

// Error is the text for the log.
func (e *HandshakeError) Error() string {
	s := fmt.Sprintf("redial: %s: answered %d", e.what, e.Status)
	if e.Reason != "" {
		s += fmt.Sprintf(" %.64q", e.Reason)
	}
	return s
}

// Retry reports whether a client may come back by itself, after a back-off; for a 401
// with a new credential, once.
func (e *HandshakeError) Retry() bool {
	switch e.Status {
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return e.Status >= 500
}

// refusedBy reads an answer. A word that quotes a secret of the request is none.
func refusedBy(what string, status int, h http.Header, body []byte, s secrets) *HandshakeError {
	e := &HandshakeError{Status: status, RetryAfter: retryAfter(h.Get("Retry-After"), time.Now()), what: what}
	var problem struct {
		Reason string `json:"reason"`
	}
	if strings.HasPrefix(h.Get("Content-Type"), "application/problem+json") && json.Unmarshal(body, &problem) == nil && opening.IsToken(problem.Reason) && !s.in(problem.Reason) {
		e.Reason = problem.Reason
	}
	return e
}

// retryAfter reads seconds or an HTTP-date (RFC 9110 §10.2.3); 0 for anything else.
func retryAfter(s string, now time.Time) time.Duration {
	const most = 365 * 24 * 60 * 60
	if n, err := strconv.ParseUint(s, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(n, most)) * time.Second
	}
	at, err := http.ParseTime(s)
	if err != nil {
		return 0
	}
	return max(0, at.Sub(now))
}

// Permanent marks an error after which Run ends with err: of a [Source], for which
// there will be no more credentials, or of serve, whatever the connection's state.
func Permanent(err error) error {
	if _, already := err.(*permanent); already || err == nil {
		return err
	}
	return &permanent{err}
}

type permanent struct{ error }

func (p *permanent) Unwrap() error { return p.error }

// verdict is what to do about an ending or a failed dial.
type verdict struct {
	stop  bool
	renew bool          // with a new credential
	wait  time.Duration // before the next dial
}

// judge says what follows from err, and counts it. Whatever is neither an answer nor
// a close frame is the network's doing and passes.
func (a *attempts) judge(cfg *Config, err error, lost bool) verdict {
	var final *permanent
	var closed *ws.CloseError
	var answered *HandshakeError
	var again, refused bool
	var after time.Duration
	switch {
	case errors.As(err, &final):
	case errors.As(err, &answered):
		again, refused, after = answered.Retry(), answered.Status == http.StatusUnauthorized, answered.RetryAfter
	case errors.As(err, &closed):
		again = closed.Retryable() || slices.Contains(cfg.RetryCodes, closed.Code)
		refused = closed.Code == ws.ErrExpired.Code
	default:
		again = true
	}
	if !again || refused && a.refused {
		return verdict{stop: true}
	}
	a.refused = a.refused || refused
	// An ended credential is this client's alone: nobody else comes back with it.
	return verdict{renew: refused, wait: a.next(lost && !refused, after)}
}

// withoutURL takes off what net/http says of the URL: a ticket may stand in it.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
