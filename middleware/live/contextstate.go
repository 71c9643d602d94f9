package live

import (
	"context"
	"sync/atomic"
)

// contextState is the context of a bound response: that of the layers in front, and the one that
// is derived from it.
type contextState struct {
	outer      context.Context         // of the request
	derived    atomic.Pointer[derived] // nil: no code has waited for the end of the context
	contextErr atomic.Pointer[error]   // why the context has ended; nil: it has not
}

// derived is the context that the end of the credential cancels. It is there from the first
// Done on, or from the end.
type derived struct {
	context.Context
	cancel context.CancelCauseFunc
}

func (c *contextState) derive() *derived {
	if d := c.derived.Load(); d != nil {
		return d
	}
	d := new(derived)
	d.Context, d.cancel = context.WithCancelCause(c.outer)
	if !c.derived.CompareAndSwap(nil, d) {
		d.cancel(nil)
		return c.derived.Load()
	}
	if err := c.contextErr.Load(); err != nil { // cancel has not seen it
		d.cancel(*err)
	}
	return d
}

// cancel ends the context. The first error is its cause.
func (c *contextState) cancel(err error) {
	c.contextErr.CompareAndSwap(nil, &err)
	if d := c.derived.Load(); d != nil {
		d.cancel(*c.contextErr.Load())
	}
}

// current returns the derived context if there is one, or else the outer one.
func (c *contextState) current() context.Context {
	if c.derived.Load() != nil || c.contextErr.Load() != nil {
		return c.derive()
	}
	return c.outer
}
