package redial

import (
	"context"
	"math/rand/v2"
	"time"
)

// pause returns nil after d, or the cause of ctx if that ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// jittered returns d less up to a fifth, so that clients that started together spread out.
func jittered(d time.Duration) time.Duration { return d - rand.N(d/5+1) }
