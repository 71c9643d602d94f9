package ws

import "sync"

// senders empty the queues of a handler's connections, on goroutines that are there only while
// there is work. One goroutine writes to many connections in turn. Before it writes to one, which
// may not return for as long as the peer does not read, it makes sure that another one goes on with
// the rest: a stalled peer holds up one goroutine, and no other peer.
type senders struct {
	task   func(*Conn)
	worker func() // work

	mu    sync.Mutex
	queue connQueue
	spare int // goroutines that are about to take a connection
}

func newSenders(task func(*Conn)) *senders {
	s := &senders{task: task}
	s.worker = s.work
	return s
}

func (s *senders) add(conns []*Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range conns {
		s.queue.push(c)
	}
	s.provide()
}

// provide starts a goroutine if there is work and none about to take it.
func (s *senders) provide() {
	if s.spare == 0 && !s.queue.empty() {
		s.spare++
		go s.worker() // not s.work: that would allocate
	}
}

func (s *senders) work() {
	for {
		c := s.take()
		if c == nil {
			return
		}
		s.task(c)
		s.mu.Lock()
		s.spare++
		s.mu.Unlock()
	}
}

// take returns nil if the goroutine is to end.
func (s *senders) take() *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spare--
	c := s.queue.pop()
	s.provide()
	return c
}
