// Package recheckby carries, out of the calls that ask whether a credential is alive, the time by
// which to ask again.
package recheckby

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"

	"github.com/securews/securews/internal/unixnano"
)

type key struct{}

// Context collects the times that are reported within it. It is safe for concurrent use.
type Context struct {
	context.Context
	earliest atomic.Int64 // in Unix nanoseconds; 0: none
}

// Collect returns a context in which [Report] has an effect.
func Collect(ctx context.Context) *Context { return &Context{Context: ctx} }

// Value implements context.Context.
func (c *Context) Value(k any) any {
	if k == (key{}) {
		return c
	}
	return c.Context.Value(k)
}

// Earliest returns the earliest time that was reported; the zero time: none was.
func (c *Context) Earliest() time.Time { return Time(c.earliest.Load()) }

// Report reports a time to the innermost Context around ctx, if there is one. The zero time is none.
func Report(ctx context.Context, t time.Time) {
	c, ok := ctx.Value(key{}).(*Context)
	if !ok || t.IsZero() {
		return
	}
	at := Nanoseconds(t)
	for {
		old := c.earliest.Load()
		if old != 0 && old <= at || c.earliest.CompareAndSwap(old, at) {
			return
		}
	}
}

// Nanoseconds returns t in Unix nanoseconds: 0 for the zero time alone.
func Nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return cmp.Or(unixnano.Of(t), 1)
}

// Time is the reverse of [Nanoseconds].
func Time(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(0, at).UTC()
}
