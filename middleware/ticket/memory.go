package ticket

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// MemoryStore is the [Store] of a single process. It starts no goroutine: tickets that have
// ended stay in memory until the next Put or Consume. The zero value is full.
type MemoryStore struct {
	boundsItself

	most int

	mu    sync.Mutex
	byKey map[string]*entry
	byEnd byEnd
}

type entry struct {
	key     string
	value   []byte
	expires time.Time
	at      int // in byEnd
}

const defaultStored = 16_384

// NewMemoryStore returns a store of up to most tickets, 0 for 16,384; each takes about 1 KiB,
// 16 KiB at most; a negative most is an error. If it is full, Put fails with [ErrFull] until a
// ticket ends or is consumed: a ticket that was issued is never dropped for another.
func NewMemoryStore(most int) (*MemoryStore, error) {
	if most < 0 {
		return nil, fmt.Errorf("ticket: NewMemoryStore: %d is negative: write the greatest number of tickets, or 0 for %d",
			most, defaultStored)
	}
	if most == 0 {
		most = defaultStored
	}
	return &MemoryStore{most: most, byKey: map[string]*entry{}}, nil
}

var errTaken = errors.New("ticket: there is a ticket of that key")

// Put is [Store]'s.
func (m *MemoryStore) Put(_ context.Context, key string, value []byte, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.dropEnded(now)
	if m.byKey[key] != nil {
		return errTaken
	}
	if len(m.byKey) >= m.most {
		return ErrFull
	}
	e := &entry{key: key, value: bytes.Clone(value), expires: now.Add(ttl)}
	m.byKey[key] = e
	heap.Push(&m.byEnd, e)
	return nil
}

// Consume is [Store]'s.
func (m *MemoryStore) Consume(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropEnded(time.Now())
	e := m.byKey[key]
	if e == nil {
		return nil, ErrNotFound
	}
	m.drop(e)
	return e.value, nil
}

// dropEnded visits the tickets that have ended, and one that has not.
func (m *MemoryStore) dropEnded(now time.Time) {
	for len(m.byEnd) > 0 && !m.byEnd[0].expires.After(now) {
		m.drop(m.byEnd[0])
	}
}

func (m *MemoryStore) drop(e *entry) {
	heap.Remove(&m.byEnd, e.at)
	delete(m.byKey, e.key)
}

// byEnd is a [heap.Interface] with the earliest end on top: one store may hold tickets of
// several lifetimes, and tickets that end with their credentials.
type byEnd []*entry

func (h byEnd) Len() int           { return len(h) }
func (h byEnd) Less(i, j int) bool { return h[i].expires.Before(h[j].expires) }

func (h byEnd) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push is [heap.Interface]'s.
func (h *byEnd) Push(x any) {
	e := x.(*entry)
	e.at = len(*h)
	*h = append(*h, e)
}

// Pop is [heap.Interface]'s.
func (h *byEnd) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
