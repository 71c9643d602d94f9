package redial

import (
	"context"
	"errors"
	"time"

	"github.com/securews/securews/ws"
)

// ending is how a connection, or an attempt at one, ended.
type ending struct {
	cause  error         // nil: serve returned nil
	opened bool          // it was a connection
	lived  time.Duration // its age at the end
	next   *Conn         // the connection that a renewal has opened beside it; nil: none
}

// renewed reports whether the connection ended because the next one had opened.
func (e ending) renewed() bool { return e.next != nil && e.cause == error(ErrRenewed) }

// acceptedAfter is the age at which a connection shows that its credential was accepted.
const acceptedAfter = time.Second

// lasted reports whether the connection had lived long enough to count as a success.
func (e ending) lasted(stable time.Duration) bool { return e.opened && e.lived >= stable }

// accepted reports whether the connection shows that its credential was accepted. The life of a
// credential may be shorter than stable.
func (e ending) accepted(stable time.Duration) bool {
	var closed *ws.CloseError
	if errors.As(e.cause, &closed) && closed.Code == ws.ErrExpired.Code {
		stable = min(acceptedAfter, stable)
	}
	return e.lasted(stable)
}

// within returns the ending of an attempt that ctx bounds: once ctx has ended, its cause ends
// Run, unless the next connection is already open.
func (e ending) within(ctx context.Context) ending {
	if e.cause != nil && ctx.Err() != nil && !e.renewed() {
		e.cause = &permanent{context.Cause(ctx)}
	}
	return e
}
