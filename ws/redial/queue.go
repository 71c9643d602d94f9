package redial

import (
	"errors"
	"slices"
	"sync"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/outqueue"
)

var (
	// ErrQueueFull is returned by Send if the message would exceed Limits.QueueMessages or
	// Limits.QueueBytes. The message was not queued.
	ErrQueueFull = errors.New("redial: send: the queue is full")

	// ErrStopped is returned by Send after Run has ended. The message was not queued.
	ErrStopped = errors.New("redial: send: Run has ended")
)

// queue holds the messages that were sent and not yet written, in order, across connections.
type queue struct {
	most outqueue.Load // that may wait

	mu      sync.Mutex
	waiting outqueue.Fifo[queued]
	load    outqueue.Load // of waiting
	stopped bool
	more    chan struct{} // holds a token when waiting may have grown
	empty   chan struct{} // made by whenEmpty, closed when it is
	changed chan struct{} // made by room, closed when messages have left
}

// queued is a message that waits to be sent.
type queued struct {
	typ     websocket.MessageType
	payload []byte
	only    *lifetime // of the only connection it may be sent over; nil: any
}

func newQueue(limits Limits) *queue {
	return &queue{most: limits.queue(), more: make(chan struct{}, 1)}
}

// put adds a message, with a copy of its payload, or returns the reason why it cannot be queued.
func (q *queue) put(m queued) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.check(len(m.payload)); err != nil {
		return err
	}
	m.payload = append([]byte(nil), m.payload...)
	q.waiting.Push(m)
	q.load.Add(len(m.payload))
	signal(q.more)
	return nil
}

// signal puts a token into a channel for one, unless it holds one.
func signal(token chan struct{}) {
	select {
	case token <- struct{}{}:
	default:
	}
}

// check returns the reason why a message of n bytes cannot be queued now.
func (q *queue) check(n int) error {
	switch {
	case q.stopped:
		return ErrStopped
	case !q.load.Fits(n, q.most):
		return ErrQueueFull
	}
	return nil
}

// room returns a channel that is closed when messages have left, or nil if one of n bytes
// could be queued now. It returns an error if it never could.
func (q *queue) room(n int) (changed <-chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	err = q.check(n)
	if err != ErrQueueFull || n > q.most.Bytes {
		return nil, err
	}
	if q.changed == nil {
		q.changed = make(chan struct{})
	}
	return q.changed, nil
}

// buffered returns the bytes of the messages that wait.
func (q *queue) buffered() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.load.Bytes
}

// first returns the first message, which stays until take.
func (q *queue) first() (queued, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting.First()
}

// take removes the first message.
func (q *queue) take() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if m, ok := q.waiting.Pop(); ok {
		q.load.Remove(1, len(m.payload))
	}
	q.tell()
}

// whenEmpty returns a channel that is closed when every message has been written.
func (q *queue) whenEmpty() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.empty == nil {
		q.empty = make(chan struct{})
	}
	empty := q.empty
	q.tell()
	return empty
}

// tell wakes the callers of room, and those of whenEmpty if the queue is empty.
func (q *queue) tell() {
	if q.changed != nil {
		close(q.changed)
		q.changed = nil
	}
	if q.waiting.Len() == 0 && q.empty != nil {
		close(q.empty)
		q.empty = nil
	}
}

// start makes put succeed again, after a stop.
func (q *queue) start() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = false
}

// takeOnly removes and returns the messages that may only be sent over one connection.
func (q *queue) takeOnly(one *lifetime) (left []queued) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for range q.waiting.Len() {
		m, _ := q.waiting.Pop()
		if m.only == one {
			left = append(left, m)
			q.load.Remove(1, len(m.payload))
		} else {
			q.waiting.Push(m)
		}
	}
	q.tell()
	return left
}

// stop makes put fail from now on, and returns the messages that are left.
func (q *queue) stop() []queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	left := slices.Collect(q.waiting.All())
	q.load, q.stopped = outqueue.Load{}, true
	q.tell()
	return left
}
