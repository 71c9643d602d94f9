package poll

import (
	"context"
	"time"
)

// Until calls fn every 5 ms until it returns nil, or ctx ends: then it returns the last error of fn.
func Until(ctx context.Context, fn func() error) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := fn()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}
