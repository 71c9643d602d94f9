package ws

import (
	"fmt"
	"sync"

	"github.com/coder/websocket"
)

// queue holds what Send has taken and the network not yet. A goroutine empties it
// while there is something in it.
type queue struct {
	mu      sync.Mutex
	waiting []queued
	bytes   int
	sending bool
	empty   chan struct{} // made by wait, closed when the goroutine ends
}

type queued struct {
	opcode  byte
	payload *[]byte
}

// Send queues a message and never waits. A peer that lets more than
// Limits.QueueBytes or Limits.QueueMessages pile up is closed with 1013 `slow`, and
// only that peer notices. Messages leave in the order of Send; p is copied. A message
// that could never be queued is an error and changes nothing.
func (c *Conn) Send(typ websocket.MessageType, p []byte) error {
	if err := checkMessage(typ, p); err != nil {
		return err
	}
	if err := c.ended(); err != nil {
		return err
	}
	limits := &c.h.cfg.Limits
	if len(p) > limits.QueueBytes {
		return fmt.Errorf("ws: send: %d bytes are more than Limits.QueueBytes, %d", len(p), limits.QueueBytes)
	}
	q := &c.queue
	q.mu.Lock()
	if len(q.waiting) >= limits.QueueMessages || q.bytes+len(p) > limits.QueueBytes {
		q.mu.Unlock()
		c.endSoon(ErrSlow)
		return c.ended()
	}
	b := buffers.Get().(*[]byte)
	*b = append(*b, p...)
	q.waiting = append(q.waiting, queued{byte(typ), b})
	q.bytes += len(p)
	start := !q.sending
	q.sending = true
	q.mu.Unlock()
	if start {
		go c.sendQueued()
	}
	return nil
}

func (c *Conn) sendQueued() {
	q := &c.queue
	for {
		next, ok := q.pop()
		if !ok {
			break
		}
		err := c.writeFrame(next.opcode, *next.payload)
		q.mu.Lock()
		q.bytes -= len(*next.payload)
		q.mu.Unlock()
		putBuffer(next.payload)
		if err != nil {
			q.drop()
		}
	}
	if c.cause.Load() != nil {
		c.sendClose()
	}
}

// pop takes the next message; where there is none, the goroutine is done.
func (q *queue) pop() (queued, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.sending = false
		q.waiting = nil
		if q.empty != nil {
			close(q.empty)
			q.empty = nil
		}
		return queued{}, false
	}
	next := q.waiting[0]
	q.waiting = q.waiting[1:]
	return next, true
}

// drop forgets what has not been begun.
func (q *queue) drop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.waiting {
		q.bytes -= len(*m.payload)
		putBuffer(m.payload)
	}
	q.waiting = nil
}

// busy reports whether messages are still to go out before a close frame.
func (q *queue) busy() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.sending
}

// wait returns when the queue's goroutine has ended.
func (q *queue) wait() {
	q.mu.Lock()
	if !q.sending {
		q.mu.Unlock()
		return
	}
	if q.empty == nil {
		q.empty = make(chan struct{})
	}
	empty := q.empty
	q.mu.Unlock()
	<-empty
}
