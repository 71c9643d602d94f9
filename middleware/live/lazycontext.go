package live

import (
	"context"
	"time"

	"github.com/securews/securews/internal/contextkey"
)

// lazyContext is the context of a bound request. The first Done makes the response a member:
// a handler that never waits has no need for it. Deadline, Err and Value do not.
type lazyContext response

// derived is the context that the end of the credential cancels. It is there from the first
// Done on, or from the end.
type derived struct {
	context.Context
	cancel context.CancelCauseFunc
}

func (w *response) derive() *derived {
	if d := w.derived.Load(); d != nil {
		return d
	}
	d := new(derived)
	d.Context, d.cancel = context.WithCancelCause(w.outer)
	if !w.derived.CompareAndSwap(nil, d) {
		d.cancel(nil)
		return w.derived.Load()
	}
	if err := w.contextErr.Load(); err != nil { // cancel has not seen it
		d.cancel(*err)
	}
	return d
}

// cancel ends the context. The first error is its cause.
func (w *response) cancel(err error) {
	w.contextErr.CompareAndSwap(nil, &err)
	if d := w.derived.Load(); d != nil {
		d.cancel(*w.contextErr.Load())
	}
}

func (c *lazyContext) context() context.Context {
	w := (*response)(c)
	if w.derived.Load() != nil || w.contextErr.Load() != nil {
		return w.derive()
	}
	return w.outer
}

// Deadline implements context.Context.
func (c *lazyContext) Deadline() (deadline time.Time, ok bool) { return c.outer.Deadline() }

// Done implements context.Context.
func (c *lazyContext) Done() <-chan struct{} {
	w := (*response)(c)
	_ = w.enter()
	return w.derive().Done()
}

// Err implements context.Context.
func (c *lazyContext) Err() error { return c.context().Err() }

// Value implements context.Context. That of the derived context tells context.Cause why it
// ended, and lets contexts behind it be cancelled without a goroutine.
func (c *lazyContext) Value(key any) any {
	if key == (contextkey.Layer{}) {
		return (*response)(c)
	}
	return c.context().Value(key)
}
