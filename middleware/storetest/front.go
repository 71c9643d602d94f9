package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/securews/securews/middleware"
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
	_, announces := s.(session.Announcer)
	if announces {
		return inFrontOfAnnouncer(w, swaps, many)
	}
	switch {
	case swaps && many:
		return struct {
			*front
			swapFront
			manyFront
		}{w, swapFront{w}, manyFront{w}}
	case swaps:
		return struct {
			*front
			swapFront
		}{w, swapFront{w}}
	case many:
		return struct {
			*front
			manyFront
		}{w, manyFront{w}}
	}
	return w
}

func inFrontOfAnnouncer(w *front, swaps, many bool) scs.Store {
	switch a := (announceFront{w}); {
	case swaps && many:
		return struct {
			*front
			swapFront
			manyFront
			announceFront
		}{w, swapFront{w}, manyFront{w}, a}
	case swaps:
		return struct {
			*front
			swapFront
			announceFront
		}{w, swapFront{w}, a}
	case many:
		return struct {
			*front
			manyFront
			announceFront
		}{w, manyFront{w}, a}
	default:
		return struct {
			*front
			announceFront
		}{w, a}
	}
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

// The optional interfaces of a store.
type (
	swapFront     struct{ f *front }
	manyFront     struct{ f *front }
	announceFront struct{ f *front }
)

// Swap implements session.Swapper.
func (x swapFront) Swap(ctx context.Context, key string, old, b []byte, expires time.Time) (bool, error) {
	f := x.f
	return do(ctx, f, Call{"Swap", []string{key}}, func() (bool, error) {
		defer f.cache.drop(key)
		return f.s.(session.Swapper).Swap(ctx, key, old, b, expires)
	})
}

// FindMany implements session.ManyFinder.
func (x manyFront) FindMany(ctx context.Context, keys ...string) ([][]byte, error) {
	f := x.f
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

// Announce implements session.Announcer.
func (x announceFront) Announce(ctx context.Context, v middleware.Revocation) error {
	_, err := do(ctx, x.f, Call{Method: "Announce"}, func() (struct{}, error) {
		return struct{}{}, x.f.s.(session.Announcer).Announce(ctx, v)
	})
	return err
}

// Follow implements session.Announcer. It is not a call: it asks nothing of the store.
func (x announceFront) Follow(fn func(middleware.Revocation)) (stop func()) {
	return x.f.s.(session.Announcer).Follow(fn)
}
