package bounded

import (
	"context"
	"time"
)

type timeoutKey struct{}

// WithTimeout is context.WithTimeout, except inside another of its contexts: the outer
// bound, which knows the purpose of the call, holds alone. One that context.WithoutCancel has
// taken away holds nothing.
func WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return WithDeadline(ctx, time.Now().Add(d))
}

// WithDeadline is context.WithDeadline, with the same exception.
func WithDeadline(ctx context.Context, at time.Time) (context.Context, context.CancelFunc) {
	if _, still := ctx.Deadline(); still && ctx.Value(timeoutKey{}) != nil {
		return ctx, func() {}
	}
	return context.WithDeadline(context.WithValue(ctx, timeoutKey{}, true), at)
}
