package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

var (
	errGone    = errors.New("session: no live session")
	errRevoked = errors.New("session: revoked")
	errNoLive  = fmt.Errorf("session: the cookie names no live session: it has run out, or the store does not have it: %w",
		middleware.ErrNoCredential)
	errOutdated = errors.New("session: its roles or scopes are no longer those of the principal")
)

// unavailable is the answer if the store or the revocations do not give one: 503, or 500
// if they panicked (ASVS 16.5.3).
func unavailable(err error) error {
	var panicked *bounded.PanicError
	if errors.As(err, &panicked) {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w: the store took longer than Config.StoreTimeout, or than the caller waits", err)
	}
	return middleware.Unavailable(err)
}

// refused returns the answer to an error of reading or writing a session.
func refused(err error) error {
	var f *middleware.Refusal
	switch {
	case err == nil || errors.As(err, &f) || errors.Is(err, errFull):
		return err
	case errors.Is(err, errGone):
		return middleware.Unauthorized(middleware.ReasonCredentialExpired, err)
	case errors.Is(err, errRevoked):
		return middleware.Unauthorized(middleware.ReasonCredentialRevoked, err)
	case errors.Is(err, errOutdated):
		return middleware.Unauthorized(middleware.ReasonCredentialOutdated, err)
	}
	return unavailable(err)
}
