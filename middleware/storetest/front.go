package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/securews/securews/session"
)

// front stands in front of a store. It has every method of scs.
type front struct {
	s      scs.Store
	faults Faults
	cache  *cache // may be nil
}

var (
	_ scs.CtxStore         = (*front)(nil)
	_ scs.IterableCtxStore = (*front)(nil)
	_ scs.IterableStore    = (*front)(nil)
)

// inFront returns a front with the optional methods that s has.
func inFront(s scs.Store, f Faults, c *cache) scs.Store {
	w := &front{s, f, c}
	_, swaps := s.(session.Swapper)
	_, many := s.(session.ManyFinder)
	switch {
	case swaps && many:
		return bothFront{swapFront{w}}
	case swaps:
		return swapFront{w}
	case many:
		return manyFront{w}
	}
	return w
}

// do makes a call between the faults.
func do[T any](ctx context.Context, f *front, c Call, call func() (T, error)) (T, error) {
	var zero T
	if before := f.faults.Before; before != nil {
		if err := before(ctx, c); err != nil {
			return zero, err
		}
	}
	v, err := call()
	if after := f.faults.After; after != nil && err == nil {
		err = after(ctx, c)
	}
	if err != nil {
		return zero, err
	}
	return v, nil
}

// FindCtx implements scs.CtxStore.
func (f *front) FindCtx(ctx context.Context, key string) ([]byte, bool, error) {
	b, err := do(ctx, f, Call{"Find", []string{key}}, func() ([]byte, error) {
		if b, ok := f.cache.get(key); ok {
			return b, nil
		}
		h := storeHandle{s: f.s}
		b, found, err := h.tryFind(ctx, key)
		if err != nil || !found {
			b = nil
		}
		if err == nil {
			f.cache.put(key, b)
		}
		return b, err
	})
	return b, b != nil, err
}

// CommitCtx implements scs.CtxStore.
func (f *front) CommitCtx(ctx context.Context, key string, b []byte, expires time.Time) error {
	_, err := do(ctx, f, Call{"Commit", []string{key}}, func() (struct{}, error) {
		h := storeHandle{s: f.s}
		defer f.cache.drop(key)
		return struct{}{}, h.tryCommit(ctx, key, b, expires)
	})
	return err
}

// DeleteCtx implements scs.CtxStore.
func (f *front) DeleteCtx(ctx context.Context, key string) error {
	_, err := do(ctx, f, Call{"Delete", []string{key}}, func() (struct{}, error) {
		h := storeHandle{s: f.s}
		defer f.cache.drop(key)
		return struct{}{}, h.tryDelete(ctx, key)
	})
	return err
}

// AllCtx implements scs.IterableCtxStore. The error is [errors.ErrUnsupported] if the store
// cannot list.
func (f *front) AllCtx(ctx context.Context) (map[string][]byte, error) {
	return do(ctx, f, Call{Method: "All"}, func() (map[string][]byte, error) {
		switch s := f.s.(type) {
		case scs.IterableCtxStore:
			return s.AllCtx(ctx)
		case scs.IterableStore:
			return s.All()
		}
		return nil, errors.ErrUnsupported
	})
}

// Find implements scs.Store.
func (f *front) Find(key string) ([]byte, bool, error) { return f.FindCtx(context.Background(), key) }

// Commit implements scs.Store.
func (f *front) Commit(key string, b []byte, expires time.Time) error {
	return f.CommitCtx(context.Background(), key, b, expires)
}

// Delete implements scs.Store.
func (f *front) Delete(key string) error { return f.DeleteCtx(context.Background(), key) }

// All implements scs.IterableStore.
func (f *front) All() (map[string][]byte, error) { return f.AllCtx(context.Background()) }

func (f *front) swap(ctx context.Context, key string, old, b []byte, expires time.Time) (bool, error) {
	return do(ctx, f, Call{"Swap", []string{key}}, func() (bool, error) {
		defer f.cache.drop(key)
		return f.s.(session.Swapper).Swap(ctx, key, old, b, expires)
	})
}

func (f *front) findMany(ctx context.Context, keys []string) ([][]byte, error) {
	return do(ctx, f, Call{"FindMany", keys}, func() ([][]byte, error) {
		found, err := f.s.(session.ManyFinder).FindMany(ctx, keys...)
		for i := range found {
			if b, ok := f.cache.get(keys[i]); ok {
				found[i] = b
			}
			f.cache.put(keys[i], found[i])
		}
		return found, err
	})
}

type swapFront struct{ *front }

// Swap implements session.Swapper.
func (f swapFront) Swap(ctx context.Context, key string, old, b []byte, expires time.Time) (bool, error) {
	return f.swap(ctx, key, old, b, expires)
}

type manyFront struct{ *front }

// FindMany implements session.ManyFinder.
func (f manyFront) FindMany(ctx context.Context, keys ...string) ([][]byte, error) {
	return f.findMany(ctx, keys)
}

type bothFront struct{ swapFront }

// FindMany implements session.ManyFinder.
func (f bothFront) FindMany(ctx context.Context, keys ...string) ([][]byte, error) {
	return f.findMany(ctx, keys)
}
