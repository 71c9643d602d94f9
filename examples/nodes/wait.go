package main

import (
	"context"
	"time"
)

// patience bounds one wait of the scenario.
const patience = 20 * time.Second

// until calls fn until it returns nil, or ctx ends: then it returns the last error of fn.
func until(ctx context.Context, fn func() error) error {
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
