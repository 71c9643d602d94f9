package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/securews/securews/middleware/storetest"
	"github.com/securews/securews/middleware/ticket"
)

// shelf is a ticket store of one's own, for one process.
type shelf struct {
	mu      sync.Mutex
	tickets map[string]entry
}

type entry struct {
	value   []byte
	expires time.Time
}

func (s *shelf) Put(_ context.Context, key string, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, there := s.tickets[key]; there && time.Now().Before(e.expires) {
		return errors.New("shelf: the key is taken")
	}
	s.tickets[key] = entry{bytes.Clone(value), time.Now().Add(ttl)}
	return nil
}

func (s *shelf) Consume(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, there := s.tickets[key]
	delete(s.tickets, key)
	if !there || !time.Now().Before(e.expires) {
		return nil, ticket.ErrNotFound
	}
	return e.value, nil
}

// The body is that of a test, TestShelf(t *testing.T), in a file such as shelf_test.go.
func ExampleTickets() {
	_ = func(t *testing.T) {
		one := &shelf{tickets: map[string]entry{}}
		storetest.Tickets(t, func(testing.TB) ticket.Store { return one })
	}
}
