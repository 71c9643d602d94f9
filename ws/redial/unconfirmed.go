package redial

import "sync"

// unconfirmed holds the queued messages that one connection has written, until a pong shows
// that the server has read them: it answers a ping after the messages before it.
type unconfirmed struct {
	limits Limits

	mu    sync.Mutex
	list  []queued
	bytes int
	base  int // messages confirmed before

	begun chan struct{} // holds a token when list has become non-empty
	full  chan struct{} // holds a token when the sender waits
	room  chan struct{} // holds a token when list may have shrunk
}

func newUnconfirmed(limits Limits) *unconfirmed {
	return &unconfirmed{
		limits: limits,
		begun:  make(chan struct{}, 1), full: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
}

// signal puts a token into a channel for one, unless it holds one.
func signal(token chan struct{}) {
	select {
	case token <- struct{}{}:
	default:
	}
}

func (u *unconfirmed) add(m queued) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.list = append(u.list, m)
	u.bytes += len(m.payload)
	if len(u.list) == 1 {
		signal(u.begun)
	}
}

// fits reports whether a message of n bytes may be written before others are confirmed.
func (u *unconfirmed) fits(n int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.list) == 0 || len(u.list) < u.limits.QueueMessages && u.bytes+n <= u.limits.QueueBytes
}

// mark returns the position that the answer to a ping written from now on confirms.
func (u *unconfirmed) mark() (position int, empty bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.base + len(u.list), len(u.list) == 0
}

// confirm removes the messages before the position.
func (u *unconfirmed) confirm(position int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for ; u.base < position; u.base++ {
		u.bytes -= len(u.list[0].payload)
		u.list[0] = queued{}
		u.list = u.list[1:]
	}
	signal(u.room)
}

// rest returns the messages that are not confirmed.
func (u *unconfirmed) rest() []queued {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.list
}
