package live

import (
	"context"
	"time"

	"github.com/securews/securews/internal/contextkey"
)

// lazyContext is the context of a bound request. The first Done makes the response a member:
// a handler that never waits has no need for it. Deadline, Err and Value do not.
type lazyContext response

// context returns the one that the end of the credential cancels, or that of the layers in
// front.
func (c *lazyContext) context() context.Context {
	if c.entered.Load() {
		return c.inner
	}
	return c.request.Context()
}

// Deadline implements context.Context.
func (c *lazyContext) Deadline() (deadline time.Time, ok bool) {
	return c.request.Context().Deadline()
}

// Done implements context.Context.
func (c *lazyContext) Done() <-chan struct{} {
	_ = (*response)(c).enter()
	return c.context().Done()
}

// Err implements context.Context.
func (c *lazyContext) Err() error { return c.context().Err() }

// Value implements context.Context. That of the inner context tells context.Cause why it
// ended, and lets contexts derived from it be cancelled without a goroutine.
func (c *lazyContext) Value(key any) any {
	if key == (contextkey.Layer{}) {
		return (*response)(c)
	}
	return c.context().Value(key)
}
