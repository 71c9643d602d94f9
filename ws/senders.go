package ws

import (
	"sync"

	"github.com/securews/securews/internal/outqueue"
)

// senders run a task for connections, which empties their queues, on goroutines that are there only while
// there is work. One goroutine writes to many connections in turn. Before it writes to one, which
// may not return for as long as the peer does not read, it makes sure that another one goes on with
// the rest: a stalled peer holds up one goroutine, and no other peer.
type senders[T any] struct {
	task   func(T)
	worker func() // work

	mu    sync.Mutex
	queue outqueue.Fifo[T]
	spare int // goroutines that are about to take a connection
}

func newSenders[T any](task func(T)) *senders[T] {
	s := &senders[T]{task: task, queue: outqueue.Fifo[T]{Keep: keptQueue}}
	s.worker = s.work
	return s
}

func (s *senders[T]) add(conns []T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range conns {
		s.queue.Push(c)
	}
	s.provide()
}

// provide starts a goroutine if there is work and none about to take it.
func (s *senders[T]) provide() {
	if s.spare == 0 && s.queue.Len() > 0 {
		s.spare++
		go s.worker() // not s.work: that would allocate
	}
}

func (s *senders[T]) work() {
	for {
		c, ok := s.take()
		if !ok {
			return
		}
		s.task(c)
		s.mu.Lock()
		s.spare++
		s.mu.Unlock()
	}
}

// take returns false if the goroutine is to end.
func (s *senders[T]) take() (c T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spare--
	c, ok = s.queue.Pop()
	s.provide()
	return c, ok
}
