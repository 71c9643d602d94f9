package storetest_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/securews/securews/middleware/storetest"
	"github.com/securews/securews/session"
)

// truncating is a store with a column of 43 characters that cuts a longer key without an
// error, as MySQL can.
type truncating struct {
	*memstore.MemStore
	mu  sync.Mutex
	cut []string
}

func (s *truncating) key(key string) string {
	if len(key) <= 43 {
		return key
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = append(s.cut, key)
	return key[:43]
}

func (s *truncating) Find(key string) ([]byte, bool, error) { return s.MemStore.Find(s.key(key)) }
func (s *truncating) Delete(key string) error               { return s.MemStore.Delete(s.key(key)) }
func (s *truncating) Commit(key string, b []byte, expires time.Time) error {
	return s.MemStore.Commit(s.key(key), b, expires)
}

// swapping makes a memstore a Swapper and a ManyFinder.
type swapping struct {
	*memstore.MemStore
	mu sync.Mutex
}

func (s *swapping) Swap(_ context.Context, key string, old, b []byte, expires time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, found, _ := s.MemStore.Find(key)
	if found != (old != nil) || !bytes.Equal(now, old) {
		return false, nil
	}
	return true, s.MemStore.Commit(key, b, expires)
}

func (s *swapping) Commit(key string, b []byte, expires time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.MemStore.Commit(key, b, expires)
}

func (s *swapping) Delete(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.MemStore.Delete(key)
}

func (s *swapping) FindMany(_ context.Context, keys ...string) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make([][]byte, len(keys))
	for i, key := range keys {
		found[i], _, _ = s.MemStore.Find(key)
	}
	return found, nil
}

// kinds are the stores that a Manager treats differently.
var kinds = map[string]func() scs.Store{
	"a store that does not compare": func() scs.Store { return storetest.Faulty(memstore.NewWithCleanupInterval(0), storetest.Faults{}) },
	"a Swapper":                     func() scs.Store { return &swapping{MemStore: memstore.NewWithCleanupInterval(0)} },
}

func TestSwappingKeepsTheContract(t *testing.T) {
	t.Parallel()
	s := kinds["a Swapper"]()
	storetest.SessionStore(t, func(testing.TB) scs.Store { return s })
}

// Every key has 43 characters of base64url: a store that refuses another one is as good as
// any, and one that cuts it never does.
func TestEveryKeyHas43Characters(t *testing.T) {
	t.Parallel()
	for kind, create := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := keysOf43(t, create())
				life(t, newSite(t, session.Config{Store: s}), must(session.NewRevocations(s))(t), halfAnHour)
			})
		})
	}
	t.Run("a store that cuts longer ones", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &truncating{MemStore: memstore.NewWithCleanupInterval(0)}
			life(t, newSite(t, session.Config{Store: s}), must(session.NewRevocations(s))(t), halfAnHour)
			if len(s.cut) > 0 {
				t.Errorf("%d keys were cut: %q", len(s.cut), s.cut)
			}
		})
	})
}

// halfAnHour is less than Idle, and enough to extend it.
func halfAnHour() { time.Sleep(25 * time.Minute) }

// watching keeps every slice that passed, and its first content.
type watching struct {
	*memstore.MemStore
	mu   sync.Mutex
	seen map[*byte]string
	all  [][]byte
}

func (s *watching) watch(b []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(b) > 0 {
		s.seen[&b[0]] = string(b)
		s.all = append(s.all, b)
	}
	return b
}

func (s *watching) Find(key string) ([]byte, bool, error) {
	b, ok, err := s.MemStore.Find(key)
	return s.watch(b), ok, err
}

func (s *watching) Commit(key string, b []byte, expires time.Time) error {
	return s.MemStore.Commit(key, s.watch(b), expires)
}

// Package session changes no slice of a store, so that a store need not copy: the kit does
// not ask for it.
func TestNoSliceOfAStoreIsChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &watching{MemStore: memstore.NewWithCleanupInterval(0), seen: map[*byte]string{}}
		life(t, newSite(t, session.Config{Store: s}), must(session.NewRevocations(s))(t), halfAnHour)
		if len(s.all) < 20 {
			t.Errorf("only %d slices were seen", len(s.all))
		}
		for _, b := range s.all {
			if s.seen[&b[0]] != string(b) {
				t.Errorf("a slice has become %q, was %q", b, s.seen[&b[0]])
			}
		}
	})
}
