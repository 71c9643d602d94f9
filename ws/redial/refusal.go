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
// a 401 with a new credential, and if that is a refusal by a securews server only once, unless
// RetryAfter says that a later one may be good. A response that is not such a refusal is that
// of a router or proxy, whatever its status, and passes.
func (e *HandshakeError) Retryable() bool {
	switch e.Status {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return !e.known()
	}
	return e.Status >= 500 || !e.known()
}

// known reports whether the response is a refusal by a securews server: it has one of the
// reasons of package middleware, or is the answer of a Source.
func (e *HandshakeError) known() bool { return e.what == "" || slices.Contains(knownReasons, e.Reason) }

var knownReasons = strings.Fields(`
	tls_required host_not_allowed origin_missing origin_malformed origin_not_allowed fetch_metadata
	no_credential multiple_credentials credential_malformed credential_invalid credential_expired
	credential_revoked credential_outdated insufficient_scope forbidden rate_limited
	too_many_connections overloaded draining unavailable bad_handshake upgrade_required
	websocket_version subprotocol extended_connect header_too_large method_not_allowed internal`)

// problemType is the media type of a refusal (RFC 9457 §3).
const problemType = "application/problem+json"

// refusedBy parses a response. A reason that quotes a secret of the request is ignored.
func refusedBy(what string, status int, h http.Header, body []byte, s secrets) *HandshakeError {
	e := &HandshakeError{Status: status, RetryAfter: retryAfter(h.Get("Retry-After"), time.Now()), what: what}
	var problem struct {
		Reason string `json:"reason"`
	}
	stated := strings.HasPrefix(h.Get("Content-Type"), problemType) && json.Unmarshal(body, &problem) == nil
	if stated && opening.IsToken(problem.Reason) && !s.in(problem.Reason) {
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
