package redial

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/securews/securews/internal/opening"
)

// HandshakeError is an HTTP response other than 101 to a handshake, or other than 2xx from
// a ticket route.
type HandshakeError struct {
	Status     int
	Reason     string        // the stable word of a securews refusal, else empty
	RetryAfter time.Duration // 0: not given
	what       string
}

// Error returns the text for the log.
func (e *HandshakeError) Error() string {
	s := fmt.Sprintf("redial: %s: answered %d", e.what, e.Status)
	if e.Reason != "" {
		s += fmt.Sprintf(" %.64q", e.Reason)
	}
	return s
}

// Retryable reports whether a client may dial again automatically, after a back-off; after
// a 401 with a new credential, and only once, unless RetryAfter says that a later one may be
// good.
func (e *HandshakeError) Retryable() bool {
	switch e.Status {
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return e.Status >= 500
}

// problemType is the media type of a refusal (RFC 9457 §3).
const problemType = "application/problem+json"

// refusedBy parses a response. A reason that quotes a secret of the request is ignored.
func refusedBy(what string, status int, h http.Header, body []byte, s secrets) *HandshakeError {
	e := &HandshakeError{Status: status, RetryAfter: retryAfter(h.Get("Retry-After"), time.Now()), what: what}
	var problem struct {
		Reason string `json:"reason"`
	}
	if strings.HasPrefix(h.Get("Content-Type"), problemType) && json.Unmarshal(body, &problem) == nil && opening.IsToken(problem.Reason) && !s.in(problem.Reason) {
		e.Reason = problem.Reason
	}
	return e
}

// retryAfter parses seconds or an HTTP-date (RFC 9110 §10.2.3); 0 for anything else.
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

// withoutURL removes the URL from an error of net/http: it may contain a ticket.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
