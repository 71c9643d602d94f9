package storetest

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/securews/securews/session"
)

// storeHandle calls a store as package session does: by the methods with a context if it has them.
type storeHandle struct {
	t testing.TB
	s scs.Store
}

func storeHandleOf(t testing.TB, open func(testing.TB) scs.Store) *storeHandle {
	t.Helper()
	return &storeHandle{t, opened(t, open)}
}

func (h *storeHandle) tryFind(ctx context.Context, key string) (b []byte, found bool, err error) {
	if c, ok := h.s.(scs.CtxStore); ok {
		return c.FindCtx(ctx, key)
	}
	return h.s.Find(key)
}

func (h *storeHandle) tryCommit(ctx context.Context, key string, b []byte, expires time.Time) error {
	if c, ok := h.s.(scs.CtxStore); ok {
		return c.CommitCtx(ctx, key, b, expires)
	}
	return h.s.Commit(key, b, expires)
}

func (h *storeHandle) tryDelete(ctx context.Context, key string) error {
	if c, ok := h.s.(scs.CtxStore); ok {
		return c.DeleteCtx(ctx, key)
	}
	return h.s.Delete(key)
}

// find returns nil if the key is absent. It may be called in any goroutine.
func (h *storeHandle) find(key string) []byte {
	h.t.Helper()
	var found bool
	b, err := ask(h.t, fmt.Sprintf("Find(%q)", key), func(ctx context.Context) (b []byte, err error) {
		b, found, err = h.tryFind(ctx, key)
		return b, err
	})
	switch {
	case err != nil:
		h.t.Errorf("Find(%q): %v", key, err)
		return nil
	case !found:
		return nil
	case len(b) == 0:
		h.t.Errorf("Find(%q): found, without bytes: an absent key is not found, and no empty value was stored", key)
		return nil
	}
	return b
}

func (h *storeHandle) commit(key string, b []byte, expires time.Time) {
	h.t.Helper()
	_, err := ask(h.t, fmt.Sprintf("Commit(%q)", key), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, h.tryCommit(ctx, key, b, expires)
	})
	if err != nil {
		h.t.Errorf("Commit(%q, %s, in %v): %v", key, shown(b), time.Until(expires).Round(time.Millisecond), err)
	}
}

func (h *storeHandle) delete(key string) {
	h.t.Helper()
	_, err := ask(h.t, fmt.Sprintf("Delete(%q)", key), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, h.tryDelete(ctx, key)
	})
	if err != nil {
		h.t.Errorf("Delete(%q): %v", key, err)
	}
}

// finds compares; a nil want is an absent key.
func (h *storeHandle) finds(when, key string, want []byte) {
	h.t.Helper()
	if got := h.find(key); !bytes.Equal(got, want) {
		h.t.Errorf("%s: Find(%q) returns %s, want %s", when, key, shown(got), shown(want))
	}
}

// swap may be called in any goroutine.
func (h *storeHandle) swap(key string, old, b []byte, expires time.Time) bool {
	h.t.Helper()
	done, err := ask(h.t, fmt.Sprintf("Swap(%q)", key), func(ctx context.Context) (bool, error) {
		return h.s.(session.Swapper).Swap(ctx, key, old, b, expires)
	})
	if err != nil {
		h.t.Errorf("Swap(%q, %s, %s): %v", key, shown(old), shown(b), err)
	}
	return done && err == nil
}

func (h *storeHandle) swaps(when, key string, old, b []byte, expires time.Time, want bool) {
	h.t.Helper()
	if got := h.swap(key, old, b, expires); got != want {
		h.t.Errorf("%s: Swap(%q, %s, %s) returns %v, want %v", when, key, shown(old), shown(b), got, want)
	}
}

// inAnHour is an expiry that does not come.
func inAnHour() time.Time { return time.Now().Add(time.Hour) }
