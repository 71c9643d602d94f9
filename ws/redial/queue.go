package redial

import (
	"errors"
	"sync"

	"github.com/coder/websocket"
)

var (
	// ErrQueueFull is returned by Send if the message would exceed Limits.QueueMessages or
	// Limits.QueueBytes. The message was not queued.
	ErrQueueFull = errors.New("redial: send: the queue is full")

	// ErrTooBig is returned by Send and Write if the message is larger than the server accepts,
	// and is the cause of an [Undelivered] that was queued before the server named its limit.
	// The message was not sent: the server would have ended the connection.
	ErrTooBig = errors.New("redial: send: the message is too big for the server")

	// ErrStopped is returned by Send after Run has ended. The message was not queued.
	ErrStopped = errors.New("redial: send: Run has ended")
)

// Undelivered is a message that a Send queued and that was not handed to the network
// completely, or of which it is not known whether it arrived.
type Undelivered struct {
	Type    websocket.MessageType
	Payload []byte

	// Begun reports that the connection ended during the write. The message may have
	// arrived.
	Begun bool

	// Unconfirmed reports that the message was written, or begun, and that the connection
	// ended before the server showed that it had read it. It may have arrived.
	Unconfirmed bool

	// Cause is why Run ended, nil if serve returned nil; for a message of [Conn.Send], or
	// one that was begun, why the connection ended.
	Cause error
}

// queue holds the messages that were sent and not yet written, in order, across connections.
type queue struct {
	limits Limits

	mu      sync.Mutex
	waiting []queued
	bytes   int
	stopped bool
	more    chan struct{} // holds a token when waiting may have grown
	empty   chan struct{} // made by whenEmpty, closed by pop
	changed chan struct{} // made by room, closed when messages have left
}

type queued struct {
	typ     websocket.MessageType
	payload []byte
	only    *Conn // if set, the only connection it may be sent over
}

func newQueue(limits Limits) *queue { return &queue{limits: limits, more: make(chan struct{}, 1)} }

func (q *queue) push(m queued) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.check(len(m.payload)); err != nil {
		return err
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

// check returns the reason why a message of n bytes cannot be queued now.
func (q *queue) check(n int) error {
	switch {
	case q.stopped:
		return ErrStopped
	case len(q.waiting) >= q.limits.QueueMessages || n > q.limits.QueueBytes-q.bytes:
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
	if err != ErrQueueFull || n > q.limits.QueueBytes {
		return nil, err
	}
	if q.changed == nil {
		q.changed = make(chan struct{})
	}
	return q.changed, nil
}

func (q *queue) buffered() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
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

// take removes and returns the messages that may only be sent over the connection.
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
	q.tell()
	return left
}

// stop makes push fail from now on, and returns the messages that are left.
func (q *queue) stop() []queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	left := q.waiting
	q.waiting, q.bytes, q.stopped = nil, 0, true
	q.tell()
	return left
}
