package session

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/securews/securews/internal/bounded"
)

// memory is the default store: a map that is swept each time it has doubled, so that
// it needs no goroutine.
type memory struct {
	bounded.Self

	mu      sync.RWMutex
	items   map[string]item
	sweepAt int
}

type item struct {
	b       []byte
	expires time.Time
}

func newMemory() *memory { return &memory{items: map[string]item{}} }

func (s *memory) Find(key string) ([]byte, bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	x, ok := s.items[key]
	if !ok || !time.Now().Before(x.expires) {
		return nil, false, nil
	}
	return x.b, true, nil
}

func (s *memory) Commit(key string, b []byte, expires time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(key, b, expires)
	return nil
}

// Swap makes memory a [Swapper].
func (s *memory) Swap(_ context.Context, key string, old, b []byte, expires time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.items[key]
	ok = ok && time.Now().Before(x.expires)
	if ok != (old != nil) || ok && !bytes.Equal(x.b, old) {
		return false, nil
	}
	s.put(key, b, expires)
	return true, nil
}

func (s *memory) put(key string, b []byte, expires time.Time) {
	if len(s.items) >= max(s.sweepAt, 1024) {
		now := time.Now()
		for k, x := range s.items {
			if !now.Before(x.expires) {
				delete(s.items, k)
			}
		}
		s.sweepAt = 2 * len(s.items)
	}
	s.items[key] = item{bytes.Clone(b), expires}
}

func (s *memory) Delete(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.items, key)
	return nil
}

func (s *memory) All() (map[string][]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	now := time.Now()
	all := make(map[string][]byte, len(s.items))
	for k, x := range s.items {
		if now.Before(x.expires) {
			all[k] = x.b
		}
	}
	return all, nil
}
