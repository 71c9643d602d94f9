package ticket

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// MemoryStore is the [Store] of a single process. It starts no goroutine. The zero value
// is full.
type MemoryStore struct {
	most int

	mu    sync.Mutex
	byKey map[string]*list.Element
	order list.List // of entry, in the order of Put
}

type entry struct {
	key     string
	value   []byte
	expires time.Time
}

const defaultStored = 16_384

// NewMemoryStore returns a store of up to most tickets, 0 for 16,384; each takes about a
// kilobyte, and 16 where the principal has that much to say. Where no ticket more fits,
// Put fails with [ErrFull] until the oldest has ended: what was promised is kept.
func NewMemoryStore(most int) (*MemoryStore, error) {
	if most < 0 {
		return nil, fmt.Errorf("ticket: memory store: %d is negative", most)
	}
	if most == 0 {
		most = defaultStored
	}
	return &MemoryStore{most: most, byKey: map[string]*list.Element{}}, nil
}

var errTaken = errors.New("ticket: there is a ticket of that key")

// Put is [Store]'s.
func (m *MemoryStore) Put(_ context.Context, key string, value []byte, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for first := m.order.Front(); first != nil && !first.Value.(*entry).expires.After(now); first = m.order.Front() {
		m.drop(first)
	}
	if m.byKey[key] != nil {
		return errTaken
	}
	if len(m.byKey) >= m.most {
		return ErrFull
	}
	m.byKey[key] = m.order.PushBack(&entry{key, bytes.Clone(value), now.Add(ttl)})
	return nil
}

// Take is [Store]'s.
func (m *MemoryStore) Take(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.byKey[key]
	if at == nil {
		return nil, ErrNotFound
	}
	e := m.drop(at)
	if !e.expires.After(time.Now()) {
		return nil, ErrNotFound
	}
	return e.value, nil
}

func (m *MemoryStore) drop(at *list.Element) *entry {
	e := m.order.Remove(at).(*entry)
	delete(m.byKey, e.key)
	return e
}
