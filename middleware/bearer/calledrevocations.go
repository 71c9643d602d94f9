package bearer

import (
	"context"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

// calledRevocations are Revocations, which may be nil, and how they are called.
type calledRevocations struct {
	middleware.Revocations
	calls bounded.Caller
}

func newCalledRevocations(of middleware.Revocations) calledRevocations {
	return calledRevocations{of, bounded.NewCaller(of)}
}

// given reports whether there are Revocations.
func (c *calledRevocations) given() bool { return c.Revocations != nil }

func (c *calledRevocations) revoke(ctx context.Context, v middleware.Revocation) error {
	_, err := bounded.Call(ctx, c.calls, "revoke", func() (struct{}, error) { return struct{}{}, c.Revoke(ctx, v) })
	return err
}

// revoked calls Revocations that bound themselves without an allocation.
func (c *calledRevocations) revoked(ctx context.Context, p middleware.Principal) (bool, error) {
	if c.calls.Direct() {
		return c.Revoked(ctx, p)
	}
	return c.revokedBounded(ctx, p)
}

// revokedBounded is revoked that returns a panic as an error in any case.
func (c *calledRevocations) revokedBounded(ctx context.Context, p middleware.Principal) (bool, error) {
	return bounded.Call(ctx, c.calls, "revoked", func() (bool, error) { return c.Revoked(ctx, p) })
}
