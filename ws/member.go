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
	e := fromRegistry(cause)
	if e.final() {
		c.out.overrule(e)
	}
	c.out.endSoon(e)
}

// Next is [live.Member]'s.
func (m *member) Next(now int64, hurry bool) int64 {
	c := (*Conn)(m)
	c.out.report(false)
	if c.ending.cause.Load() != nil {
		return c.cutIfDue(now, hurry)
	}
	next := c.rules.timeouts.next(now, c.state())
	switch {
	case next.ping:
		c.out.ping()
		return next.at
	case next.cause == nil:
		return next.at
	case next.silent:
		// The close frame is written for a peer that reads but cannot write, and TCP is cut
		// without waiting for another answer.
		c.ending.at.CompareAndSwap(0, max(1, c.now()-int64(c.rules.timeouts.Close)))
	}
	c.out.endSoon(next.cause)
	if next.cause == ErrSlow {
		c.ending.cut() // a close frame could not get through either
	}
	return c.cutIfDue(now, hurry)
}

// state returns what the deadlines of the connection depend on.
func (c *Conn) state() state {
	s := c.times.state()
	s.opened, s.jitter = c.binding.Opened(), c.binding.Jitter()
	s.pingDue, s.received, s.idles = c.out.pingDue.Load(), c.traffic.received.Load() > 0, c.ending.explains
	return s
}

// cutIfDue cuts TCP if it is time to, and returns 0; else it returns when to look again.
func (c *Conn) cutIfDue(now int64, hurry bool) int64 {
	at := c.rules.timeouts.cut(now, c.ending.at.Load(), c.ending.closeSent.Load(), hurry)
	if at == 0 {
		c.ending.cut()
	}
	return at
}

// fromRegistry returns the CloseError of a cause that the registry has found.
func fromRegistry(cause *live.Cause) *CloseError {
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
