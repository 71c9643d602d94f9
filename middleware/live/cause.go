package live

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/securews/securews/middleware"
)

// Cause is why a member ends. The values of this package are matched with errors.Is by code
// and reason; Err is not compared. A close by the peer matches none of them, even with the
// same words.
type Cause struct {
	Code   uint16 // of the close frame (RFC 6455 §7.4); a code that no close frame may have ends a WebSocket with 1011
	Reason string // a stable word, at most 123 bytes
	Err    error  // for the log only
	Peer   bool   // the peer has closed, and Code and Reason are its own
}

// The causes that the registry ends members with. Serve of package ws gets the same codes
// and words as ws.ErrExpired, ErrReauth, ErrRevoked, ErrForbidden, ErrDraining and ErrLater,
// which these values do not match in errors.Is.
//
// A credential that was revoked while the client may simply fetch another ends with Expired, or
// after a change of roles with Reauth, and Revoked behind it: errors.Is finds both.
var (
	Expired   = &Cause{Code: 3000, Reason: "expired"}   // the credential ended
	Reauth    = &Cause{Code: 3000, Reason: "reauth"}    // the roles have changed, or Timeouts.MaxAge is reached: authenticate again
	Revoked   = &Cause{Code: 3000, Reason: "revoked"}   // logout, sign-out everywhere, token revoked
	Forbidden = &Cause{Code: 3003, Reason: "forbidden"} // authenticated, but no longer allowed
	Restart   = &Cause{Code: 1012, Reason: "restart"}   // this process shuts down
	Later     = &Cause{Code: 1013, Reason: "later"}     // no answer about the credential for Timeouts.Stale
)

// causes are those that the registry ends members with.
var causes = [...]*Cause{Expired, Reauth, Revoked, Forbidden, Restart, Later}

// Error returns the text for the log.
func (c *Cause) Error() string {
	if c.Err == nil {
		return fmt.Sprintf("live: ended %d %s", c.Code, c.Reason)
	}
	return fmt.Sprintf("live: ended %d %s: %v", c.Code, c.Reason, c.Err)
}

// Unwrap returns Err.
func (c *Cause) Unwrap() error { return c.Err }

// Is reports whether target is a Cause of the same code and reason, by the same side.
func (c *Cause) Is(target error) bool {
	t, ok := target.(*Cause)
	return ok && t.Code == c.Code && t.Reason == c.Reason && t.Peer == c.Peer
}

// Wrap returns a copy of c with err behind it.
func (c *Cause) Wrap(err error) *Cause {
	return &Cause{Code: c.Code, Reason: c.Reason, Err: err, Peer: c.Peer}
}

// causeOf reads the answer of [middleware.Auth.Alive]: nil and nil if the credential is
// good, an error if the answer is not known.
func causeOf(err error) (*Cause, error) {
	var f *middleware.Refusal
	switch {
	case err == nil:
		return nil, nil
	case !errors.As(err, &f) || f == nil:
		return nil, err
	case f.Reason == middleware.ReasonCredentialRevoked:
		return Revoked.Wrap(err), nil
	case f.Reason == middleware.ReasonCredentialOutdated:
		return Reauth.Wrap(Revoked.Wrap(err)), nil // nothing that is still on its way is for the new roles
	case f.Status == http.StatusUnauthorized:
		return Expired.Wrap(err), nil
	case f.Status == http.StatusForbidden:
		return Forbidden.Wrap(err), nil
	}
	return nil, err
}

// final reports whether nothing that is on its way is for the peer any more.
func final(cause *Cause) bool {
	return errors.Is(cause, Revoked) || errors.Is(cause, Forbidden)
}

// outdated reports whether the Auth has answered that the principal's roles have changed.
func (c *Cause) outdated() bool {
	f, ok := errors.AsType[*middleware.Refusal](c.Err)
	return ok && f != nil && f.Reason == middleware.ReasonCredentialOutdated
}
