package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
)

// Swapper is a [scs.Store] that compares before it writes, atomically. With one, no
// concurrent change to a session is lost and no deleted record is written back. With
// any other store, of two changes in the same instant the later one wins.
type Swapper interface {
	// Swap writes b, to be kept until expiry, if what is stored under key is
	// byte-equal to old; a nil old means that nothing is, or what is has expired. It
	// returns false, and writes nothing, where that does not hold. An error means that
	// nobody knows.
	Swap(ctx context.Context, key string, old, b []byte, expiry time.Time) (bool, error)
}

// maxCalls bounds the calls under way to the store, and those to the revocations, and
// with them the goroutines that one which no longer answers can hold.
const maxCalls = 256

// store is the one way to a [scs.Store]. Calls end with their context even where the
// store does not heed it.
type store struct {
	raw     scs.Store
	swapper Swapper
	slots   chan struct{} // nil: the store is a map in this process, and never waits
}

func newStore(raw scs.Store) store {
	if raw == nil {
		raw = newMemory()
	}
	s := store{raw: raw}
	s.swapper, _ = raw.(Swapper)
	switch raw.(type) {
	case *memory, *memstore.MemStore:
	default:
		s.slots = make(chan struct{}, maxCalls)
	}
	return s
}

var errNoIteration = fmt.Errorf("the store cannot list sessions: %w", errors.ErrUnsupported)

// find returns nil where there is nothing.
func (s *store) find(ctx context.Context, key string) ([]byte, error) {
	return call(ctx, s.slots, "store: find", func() ([]byte, error) {
		var b []byte
		var found bool
		var err error
		if c, ok := s.raw.(scs.CtxStore); ok {
			b, found, err = c.FindCtx(ctx, key)
		} else {
			b, found, err = s.raw.Find(key)
		}
		if !found {
			b = nil
		}
		return b, err
	})
}

// write returns false where a Swapper finds other bytes than old.
func (s *store) write(ctx context.Context, key string, old, b []byte, expiry time.Time) (bool, error) {
	return call(ctx, s.slots, "store: commit", func() (bool, error) {
		if s.swapper != nil {
			return s.swapper.Swap(ctx, key, old, b, expiry)
		}
		if c, ok := s.raw.(scs.CtxStore); ok {
			return true, c.CommitCtx(ctx, key, b, expiry)
		}
		return true, s.raw.Commit(key, b, expiry)
	})
}

func (s *store) delete(ctx context.Context, key string) error {
	_, err := call(ctx, s.slots, "store: delete", func() (struct{}, error) {
		if c, ok := s.raw.(scs.CtxStore); ok {
			return struct{}{}, c.DeleteCtx(ctx, key)
		}
		return struct{}{}, s.raw.Delete(key)
	})
	return err
}

func (s *store) all(ctx context.Context) (map[string][]byte, error) {
	return call(ctx, s.slots, "store: list", func() (map[string][]byte, error) {
		switch c := s.raw.(type) {
		case scs.IterableCtxStore:
			return c.AllCtx(ctx)
		case scs.IterableStore:
			return c.All()
		}
		return nil, errNoIteration
	})
}

type outcome[T any] struct {
	value T
	err   error
}

// call runs fn until the context ends; what comes later is dropped. Without slots, fn
// never waits.
func call[T any](ctx context.Context, slots chan struct{}, what string, fn func() (T, error)) (value T, err error) {
	o := outcome[T]{}
	if slots == nil {
		o = contained(fn)
	} else {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return value, fmt.Errorf("session: %s: %d calls are under way: %w", what, maxCalls, ctx.Err())
		}
		done := make(chan outcome[T], 1)
		go func() {
			defer func() { <-slots }()
			done <- contained(fn)
		}()
		select {
		case o = <-done:
		case <-ctx.Done():
			o.err = ctx.Err()
		}
	}
	if o.err != nil {
		return value, fmt.Errorf("session: %s: %w", what, o.err)
	}
	return o.value, nil
}

// contained turns fn's panic into an error: in a goroutine of its own it would
// end the process.
func contained[T any](fn func() (T, error)) (o outcome[T]) {
	defer func() {
		if p := recover(); p != nil {
			o = outcome[T]{err: fmt.Errorf("panic: %v", p)}
		}
	}()
	o.value, o.err = fn()
	return o
}
