package bearer

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/securews/securews/middleware"
)

var (
	errRevoked     = errors.New("token is revoked")
	errUnavailable = errors.New("the issuer's keys are not at hand")
	errRevocations = errors.New("revocations cannot be asked")
	errZero        = errors.New("the zero Authenticator admits nobody")
)

// refuse turns a cause into its answer. What the client reads is one of a few fixed
// sentences, the same for everything that makes a token invalid (RFC 6750 §3.1).
func (c *profile) refuse(cause error) error {
	f := &middleware.Refusal{Status: http.StatusUnauthorized, Header: http.Header{}, Err: fmt.Errorf("bearer: %w", cause)}
	code, text := "invalid_token", "the access token is not valid here"
	switch {
	case errors.Is(cause, errUnavailable), errors.Is(cause, errRevocations):
		f.Status, f.Reason = http.StatusServiceUnavailable, middleware.ReasonUnavailable
		f.Header["Retry-After"] = []string{"2"}
		return f
	case errors.Is(cause, errInQuery), errors.Is(cause, errSeveral), errors.Is(cause, errReadable),
		errors.Is(cause, errTwoPlaces), errors.Is(cause, errOffered), errors.Is(cause, errAlone), errors.Is(cause, errElsewhere):
		f.Status, f.Reason = http.StatusBadRequest, middleware.ReasonCredentialMalformed
		code, text = "invalid_request", "send one access token in one Authorization header"
	case errors.Is(cause, errExpired):
		f.Reason, text = middleware.ReasonCredentialExpired, "the access token expired"
	case errors.Is(cause, errRevoked):
		f.Reason, text = middleware.ReasonCredentialRevoked, "the access token was revoked"
	default:
		f.Reason = middleware.ReasonCredentialInvalid
	}
	f.Header["Www-Authenticate"] = []string{c.challenge + `, error="` + code + `", error_description="` + text + `"`}
	return f
}
