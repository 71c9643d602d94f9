package redial

import (
	"slices"
	"sync"

	"github.com/securews/securews/internal/outqueue"
)

// unconfirmed holds the queued messages that one connection has written, until a pong shows
// that the server has read them: it answers a ping after the messages before it.
type unconfirmed struct {
	most outqueue.Load

	mu        sync.Mutex
	written   outqueue.Fifo[queued]
	load      outqueue.Load // of written
	confirmed int           // messages that have left written

	begun chan struct{} // holds a token when written has become non-empty
	full  chan struct{} // holds a token when the sender waits
	room  chan struct{} // holds a token when messages may have left written
}

func newUnconfirmed(limits Limits) *unconfirmed {
	return &unconfirmed{
		most:  limits.queue(),
		begun: make(chan struct{}, 1), full: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
}

func (u *unconfirmed) add(m queued) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.written.Push(m)
	u.load.Add(len(m.payload))
	if u.written.Len() == 1 {
		signal(u.begun)
	}
}

// fits reports whether a message of n bytes may be written before others are confirmed.
func (u *unconfirmed) fits(n int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.written.Len() == 0 || u.load.Fits(n, u.most)
}

// mark returns the position that the answer to a ping written from now on confirms.
func (u *unconfirmed) mark() (position int, empty bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.confirmed + u.written.Len(), u.written.Len() == 0
}

// confirm removes the messages before the position.
func (u *unconfirmed) confirm(position int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for ; u.confirmed < position; u.confirmed++ {
		m, _ := u.written.Pop()
		u.load.Remove(1, len(m.payload))
	}
	signal(u.room)
}

// rest removes and returns the messages that are not confirmed.
func (u *unconfirmed) rest() []queued {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Collect(u.written.All())
}
