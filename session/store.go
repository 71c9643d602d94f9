package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/securews/securews/internal/bounded"
)

// Swapper is a [scs.Store] that compares before it writes, atomically. With one, no
// concurrent change to a session is lost and no deleted record is written back. With
// any other store, of two changes in the same instant the later one wins.
type Swapper interface {
	// Swap writes b, to be kept until expiry, if the bytes stored under key are equal
	// to old; a nil old means that the key is absent or has expired. Otherwise it
	// returns false and writes nothing. An error means that the result is not known.
	Swap(ctx context.Context, key string, old, b []byte, expiry time.Time) (bool, error)
}

// ManyFinder is a [scs.Store] that finds several keys in one round trip. Without it a load asks
// once for the record and once for each of three or four entries beside it.
type ManyFinder interface {
	// FindMany returns the values of the keys in their order, nil for one that is absent
	// or has expired. Each value is as new as Find would return it.
	FindMany(ctx context.Context, keys ...string) ([][]byte, error)
}

// store is the one way to a [scs.Store]. A call ends with its context even if the store
// ignores it, and a panic of the store is an error.
type store struct {
	raw       scs.Store
	swapper   Swapper
	many      ManyFinder
	announcer Announcer
	calls     bounded.Caller // direct: the store is a map in this process, and never waits
}

func newStore(raw scs.Store) store {
	if raw == nil {
		raw = newMemory()
	}
	s := store{raw: raw, calls: bounded.NewCaller(raw)}
	s.swapper, _ = raw.(Swapper)
	s.many, _ = raw.(ManyFinder)
	s.announcer, _ = raw.(Announcer)
	if _, ok := raw.(*memstore.MemStore); ok {
		s.calls = bounded.Caller{}
	}
	return s
}

var errNoIteration = fmt.Errorf("the store cannot list sessions: %w", errors.ErrUnsupported)

// findRaw returns nil if the key is absent. It and the other Raw functions are to be called
// within a [bounded.Call].
func (s *store) findRaw(ctx context.Context, key string) (b []byte, err error) {
	var found bool
	if c, ok := s.raw.(scs.CtxStore); ok {
		b, found, err = c.FindCtx(ctx, key)
	} else {
		b, found, err = s.raw.Find(key)
	}
	switch {
	case err != nil || !found:
		return nil, err
	case s.calls.Direct():
		return b, nil
	}
	return append([]byte{}, b...), nil // boltstore's is memory of a transaction that has ended
}

var errFindMany = errors.New("session: store: FindMany returned another number of values than it was given keys")

// findEachRaw puts the value of each key into values.
func (s *store) findEachRaw(ctx context.Context, keys []string, values [][]byte) (err error) {
	if s.many != nil && len(keys) > 1 {
		found, err := s.many.FindMany(ctx, keys...)
		if err == nil && len(found) != len(keys) {
			err = errFindMany
		}
		copy(values, found)
		return err
	}
	for i, key := range keys {
		if values[i], err = s.findRaw(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) commitRaw(ctx context.Context, key string, b []byte, expiry time.Time) error {
	if c, ok := s.raw.(scs.CtxStore); ok {
		return c.CommitCtx(ctx, key, b, expiry)
	}
	return s.raw.Commit(key, b, expiry)
}

func (s *store) find(ctx context.Context, key string) ([]byte, error) {
	return bounded.Call(ctx, s.calls, "session: store: find", func() ([]byte, error) { return s.findRaw(ctx, key) })
}

// write returns false if a Swapper finds other bytes than old.
func (s *store) write(ctx context.Context, key string, old, b []byte, expiry time.Time) (bool, error) {
	return bounded.Call(ctx, s.calls, "session: store: commit", func() (bool, error) { return s.writeRaw(ctx, key, old, b, expiry) })
}

func (s *store) writeRaw(ctx context.Context, key string, old, b []byte, expiry time.Time) (bool, error) {
	if s.swapper != nil {
		return s.swapper.Swap(ctx, key, old, b, expiry)
	}
	return true, s.commitRaw(ctx, key, b, expiry)
}

// put writes b without a comparison.
func (s *store) put(ctx context.Context, key string, b []byte, expiry time.Time) error {
	_, err := bounded.Call(ctx, s.calls, "session: store: commit", func() (struct{}, error) {
		return struct{}{}, s.commitRaw(ctx, key, b, expiry)
	})
	return err
}

func (s *store) delete(ctx context.Context, key string) error {
	_, err := bounded.Call(ctx, s.calls, "session: store: delete", func() (struct{}, error) {
		if c, ok := s.raw.(scs.CtxStore); ok {
			return struct{}{}, c.DeleteCtx(ctx, key)
		}
		return struct{}{}, s.raw.Delete(key)
	})
	return err
}

func (s *store) all(ctx context.Context) (map[string][]byte, error) {
	return bounded.Call(ctx, s.calls, "session: store: list", func() (map[string][]byte, error) {
		switch c := s.raw.(type) {
		case scs.IterableCtxStore:
			return c.AllCtx(ctx)
		case scs.IterableStore:
			return c.All()
		}
		return nil, errNoIteration
	})
}
