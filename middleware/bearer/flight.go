package bearer

import (
	"context"
	"time"
)

// flight is a request to the issuer that several callers wait for.
type flight[V any] struct {
	began  time.Time     // zero: it has yet to begin
	landed chan struct{} // closed when result and err are set
	result V
	err    error
}

func newFlight[V any](began time.Time) *flight[V] {
	return &flight[V]{began: began, landed: make(chan struct{})}
}

// land sets the result. It is called once.
func (f *flight[V]) land(result V, err error) {
	f.result, f.err = result, err
	close(f.landed)
}

func (f *flight[V]) hasLanded() bool {
	select {
	case <-f.landed:
		return true
	default:
		return false
	}
}

// wait waits for the result; its error is that of ctx.
func (f *flight[V]) wait(ctx context.Context) error {
	if f.hasLanded() {
		return nil
	}
	select {
	case <-f.landed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
