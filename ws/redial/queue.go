package redial

import (
	"errors"
	"sync"

	"github.com/coder/websocket"
)

var (
	// ErrQueueFull is Send's answer when Limits.QueueMessages or Limits.QueueBytes
	// wait already. The message was not taken.
	ErrQueueFull = errors.New("redial: send: the queue is full")

	// ErrStopped is Send's answer when Run has ended. The message was not taken.
	ErrStopped = errors.New("redial: send: Run has ended")
)

// Undelivered is a message that a Send took and that was not handed to the network
// whole.
type Undelivered struct {
	Type    websocket.MessageType
	Payload []byte

	// Begun: the connection ended during its write. It may have arrived.
	Begun bool

	// Cause is why Run ended, nil where serve returned nil; for a message of [Conn.Send],
	// or one that was begun, why the connection did.
	Cause error
}

// queue holds what has been sent and not yet written, in order, across connections.
type queue struct {
	limits Limits

	mu      sync.Mutex
	waiting []queued
	bytes   int
	stopped bool
	more    chan struct{} // holds a token when waiting may have grown
	empty   chan struct{} // made by whenEmpty, closed by pop
}

type queued struct {
	typ     websocket.MessageType
	payload []byte
	only    *Conn // over this connection or not at all; nil: over any
}

func newQueue(limits Limits) *queue { return &queue{limits: limits, more: make(chan struct{}, 1)} }

func (q *queue) push(m queued) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.stopped:
		return ErrStopped
	case len(q.waiting) >= q.limits.QueueMessages || len(m.payload) > q.limits.QueueBytes-q.bytes:
		return ErrQueueFull
	}
	m.payload = append([]byte(nil), m.payload...)
	q.waiting = append(q.waiting, m)
	q.bytes += len(m.payload)
	select {
	case q.more <- struct{}{}:
	default:
	}
	return nil
}

// peek returns the first message, which stays until pop.
func (q *queue) peek() (queued, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return queued{}, false
	}
	return q.waiting[0], true
}

func (q *queue) pop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= len(q.waiting[0].payload)
	q.waiting[0] = queued{}
	q.waiting = q.waiting[1:]
	if len(q.waiting) == 0 {
		q.waiting = nil
	}
	q.tellEmpty()
}

// whenEmpty is closed when everything has been written.
func (q *queue) whenEmpty() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.empty == nil {
		q.empty = make(chan struct{})
	}
	empty := q.empty
	q.tellEmpty()
	return empty
}

// tellEmpty lets go who waits for an empty queue, if it is one.
func (q *queue) tellEmpty() {
	if len(q.waiting) == 0 && q.empty != nil {
		close(q.empty)
		q.empty = nil
	}
}

func (q *queue) start() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = false
}

// take removes what belongs to the connection alone.
func (q *queue) take(c *Conn) (left []queued) {
	q.mu.Lock()
	defer q.mu.Unlock()
	kept := q.waiting[:0:0]
	for _, m := range q.waiting {
		if m.only == c {
			left = append(left, m)
			q.bytes -= len(m.payload)
		} else {
			kept = append(kept, m)
		}
	}
	q.waiting = kept
	q.tellEmpty()
	return left
}

// stop refuses what comes, and returns what is left.
func (q *queue) stop() []queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	left := q.waiting
	q.waiting, q.bytes, q.stopped = nil, 0, true
	q.tellEmpty()
	return left
}
