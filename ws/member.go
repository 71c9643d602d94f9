package ws

import (
	"github.com/coder/websocket"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware/live"
)

// member is a Conn as the registry sees it.
type member Conn

// Prompt says that the methods return at once.
func (*member) Prompt(contextkey.Ours) {}

// End is [live.Member]'s.
func (m *member) End(cause *live.Cause) {
	c := (*Conn)(m)
	e := closeErrorOf(cause)
	if e.final() {
		c.overrule(e)
	}
	c.endSoon(e)
}

// Next is [live.Member]'s.
func (m *member) Next(now int64, hurry bool) int64 {
	c := (*Conn)(m)
	c.report(false)
	if c.cause.Load() != nil {
		return c.cutIfDue(now, hurry)
	}
	cause := c.overdue(now)
	if cause == nil {
		return c.due(now)
	}
	c.endSoon(cause)
	if cause == ErrSlow {
		c.cut() // a close frame could not get through either
	}
	return c.cutIfDue(now, hurry)
}

// closeErrorOf returns the CloseError of a cause that the registry has found.
func closeErrorOf(cause *live.Cause) *CloseError {
	for _, e := range [...]*CloseError{ErrRevoked, ErrExpired, ErrReauth, ErrForbidden, ErrDraining, ErrLater} {
		if cause.Err == nil && e.Code == websocket.StatusCode(cause.Code) && e.Reason == cause.Reason {
			return e
		}
	}
	e := &CloseError{Code: websocket.StatusCode(cause.Code), Reason: cause.Reason, Err: cause.Err}
	if err := e.Validate(); err != nil {
		return ErrInternal.Wrap(err)
	}
	return e
}
