package bearer

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

var (
	errUnavailable = errors.New("the issuer's keys are not available")
	errZero        = errors.New("the zero value refuses every token")
)

// zeroChallenge is the WWW-Authenticate of the zero value.
const zeroChallenge = `Bearer realm="api"`

// refuseZero is the answer of the zero value to every token.
func refuseZero() error { return (&rules{challenge: zeroChallenge}).refuse(errZero) }

// refuse turns a cause into its answer. The client reads one of a few fixed sentences, the
// same for everything that makes a token invalid (RFC 6750 §3.1). A panic of Revocations
// or Sessions is returned without a Refusal, and answered with 500.
func (c *rules) refuse(cause error) error {
	err := fmt.Errorf("bearer: %w", cause)
	var panicked *bounded.PanicError
	var refused *middleware.Refusal
	switch {
	case errors.As(cause, &panicked):
		return err
	case errors.As(cause, &refused) && refused != nil:
		return c.refuseSession(refused, err)
	case errors.Is(cause, errUnavailable), errors.Is(cause, errEndpoint), errors.Is(cause, errRevocations), errors.Is(cause, errSessions):
		return middleware.Unavailable(err)
	}
	f := &middleware.Refusal{Status: http.StatusUnauthorized, Header: http.Header{}, Err: err}
	code, text := "invalid_token", "the access token is not valid here"
	switch {
	case errors.Is(cause, errInQuery), errors.Is(cause, errSeveral), errors.Is(cause, errReadable),
		errors.Is(cause, errTwoPlaces), errors.Is(cause, errOffered), errors.Is(cause, errAlone), errors.Is(cause, errElsewhere):
		f.Status, f.Reason = http.StatusBadRequest, middleware.ReasonCredentialMalformed
		code, text = "invalid_request", "send one access token in one Authorization header"
	case errors.Is(cause, errExpired), errors.Is(cause, errWithdrawn), errors.Is(cause, errSealed):
		f.Reason, text = middleware.ReasonCredentialExpired, "the access token expired"
	case errors.Is(cause, errAround):
		f.Reason, text = middleware.ReasonCredentialExpired, "the access token was issued too close to a sign-out"
		f.Header["Retry-After"] = []string{"5"} // until then a new token may be refused, too
	case errors.Is(cause, errOutdated):
		f.Reason, text = middleware.ReasonCredentialOutdated, "the rights of the access token have changed"
	case errors.Is(cause, errRevoked):
		f.Reason, text = middleware.ReasonCredentialRevoked, "the access token was revoked"
	default:
		f.Reason = middleware.ReasonCredentialInvalid
	}
	f.Header["Www-Authenticate"] = []string{c.challenge + `, error="` + code + `", error_description="` + text + `"`}
	return f
}

// leavesOpen reports whether the token may be good for all that cause says: it is nil, or says that
// an answer is missing.
func leavesOpen(cause error) bool {
	var panicked *bounded.PanicError
	var refused *middleware.Refusal
	switch {
	case cause == nil, errors.As(cause, &panicked):
		return true
	case errors.As(cause, &refused) && refused != nil:
		return refused.Status != http.StatusUnauthorized && refused.Status != http.StatusForbidden
	}
	return errors.Is(cause, errUnavailable) || errors.Is(cause, errEndpoint) || errors.Is(cause, errRevocations) ||
		errors.Is(cause, errSessions)
}

// firmer returns the second of two causes if it ends the token, or if the first is nil: a source that
// does not answer hides no end that another knows.
func firmer(first, second error) error {
	if first == nil || !leavesOpen(second) {
		return second
	}
	return first
}

// refuseSession passes the refusal of Config.Sessions; a 401 gets the challenge of the token
// that names the session.
func (c *rules) refuseSession(of *middleware.Refusal, err error) error {
	f := &middleware.Refusal{Status: of.Status, Reason: of.Reason, Header: of.Header.Clone(), Err: err}
	if f.Status != http.StatusUnauthorized {
		return f
	}
	text := "the session of the access token ended"
	if f.Header == nil {
		f.Header = http.Header{}
	}
	f.Header["Www-Authenticate"] = []string{c.challenge + `, error="invalid_token", error_description="` + text + `"`}
	return f
}
