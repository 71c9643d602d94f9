package session_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/securews/securews/session"
)

// swapStore is a [session.Swapper] over a store that has no such thing.
type swapStore struct {
	*shakyStore
	swaps  int
	before func() // runs ahead of each swap, as another process would
}

var _ session.Swapper = (*swapStore)(nil)

func (s *swapStore) Swap(_ context.Context, key string, old, b []byte, end time.Time) (bool, error) {
	s.swaps++
	if fn := s.before; fn != nil {
		fn()
	}
	now, found, err := s.Find(key)
	if err != nil || found != (old != nil) || found && !bytes.Equal(now, old) {
		return false, err
	}
	return true, s.shakyStore.Commit(key, b, end)
}

// If the store compares, another process's change in between is kept, and a
// record that it deleted is not written back (ASVS 15.4.2).
func TestSwapperIsUsed(t *testing.T) {
	store := &swapStore{shakyStore: newShakyStore()}
	m := newManager(t, session.Config{Store: store})
	h := app(t, m)
	b, other := newBrowser(t, h), newBrowser(t, h)
	b.get("/login?u=alice")
	other.cookies[hostCookie] = b.cookies[hostCookie]
	p := b.mustPrincipal(m)
	theme := session.Key[string]("theme")
	store.before = func() {
		store.before = nil
		err := m.Update(t.Context(), p, func(v *session.Values) error { return theme.Put(v, "dark") })
		if err != nil {
			t.Error(err)
		}
	}
	b.wants("/put?v=mine", 200, "done")
	b.wants("/note", 200, "mine")
	err := m.Update(t.Context(), p, func(v *session.Values) error {
		if got, _, _ := theme.Get(v); got != "dark" {
			t.Errorf("the other's change is lost: %q", got)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}

	store.before = func() {
		store.before = nil
		all, _ := store.All()
		for key := range all {
			_ = store.Delete(key) // expired there
		}
	}
	b.wants("/put?v=late", 401, "credential_expired")
	if n := store.records(t); n != 0 {
		t.Errorf("%d records are back", n)
	}
}

// A record that never stands still costs a bounded number of attempts.
func TestContendedRecord(t *testing.T) {
	store := &swapStore{shakyStore: newShakyStore()}
	m := newManager(t, session.Config{Store: store})
	b := newBrowser(t, app(t, m))
	b.get("/login?u=alice")
	p := b.mustPrincipal(m)
	n := 0
	var churn func()
	churn = func() {
		store.before = nil
		n++
		_ = m.Update(t.Context(), p, func(v *session.Values) error { return session.Key[int]("n").Put(v, n) })
		store.before = churn
	}
	store.before = churn
	b.wants("/put?v=x", 503, "unavailable")
	if n != 16 {
		t.Errorf("%d attempts, want 16", n)
	}
}
