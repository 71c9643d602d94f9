package live

import (
	"time"

	"github.com/securews/securews/internal/contextkey"
)

// lazyContext is the context of a bound request. The first Done makes the response a member:
// a handler that never waits has no need for it. Deadline, Err and Value do not.
type lazyContext response

// Deadline implements context.Context.
func (c *lazyContext) Deadline() (deadline time.Time, ok bool) { return c.outer.Deadline() }

// Done implements context.Context.
func (c *lazyContext) Done() <-chan struct{} {
	w := (*response)(c)
	_ = w.enter()
	return w.derive().Done()
}

// Err implements context.Context.
func (c *lazyContext) Err() error { return c.current().Err() }

// Value implements context.Context. That of the derived context tells context.Cause why it
// ended, and lets contexts behind it be cancelled without a goroutine.
func (c *lazyContext) Value(key any) any {
	if key == (contextkey.Layer{}) {
		return (*response)(c)
	}
	return c.current().Value(key)
}
