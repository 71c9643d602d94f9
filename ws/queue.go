package ws

import (
	"fmt"
	"sync"

	"github.com/coder/websocket"
)

// queue holds what Send has taken and the network not yet, as finished frames. A
// goroutine empties it while there is something in it.
type queue struct {
	mu      sync.Mutex
	frames  []byte
	waiting []queued // the messages in frames that are not taken yet
	next    int      // where the first of them begins
	bytes   int      // their payloads
	sending bool
	empty   chan struct{} // made by wait, closed when the goroutine ends
}

type queued struct{ end, bytes int }

// batch is how much of the queue goes out in one write, unless one message is larger.
const batch = 16 << 10

// Send queues a message and never waits. A peer that lets more than
// Limits.QueueBytes or Limits.QueueMessages pile up is closed with 1013 `slow`, and
// only that peer notices. Messages leave in the order of Send; p is copied. A message
// that could never be queued is an error and changes nothing.
//
// What is queued still goes out, within Timeouts.Write, where Serve ends in good order:
// by nil or with 1000, 1001, 1012 or 4000 to 4999. Any other ending drops it.
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
	q.put(byte(typ), p)
	start := !q.sending
	q.sending = true
	q.mu.Unlock()
	if start {
		go c.sendQueued()
	}
	return nil
}

// put appends a frame. What has been taken is left behind when there is no room.
func (q *queue) put(opcode byte, p []byte) {
	if need := len(p) + maxHeader; len(q.frames)+need > cap(q.frames) {
		rest := q.frames[q.next:]
		grown := make([]byte, 0, max(2*len(rest), len(rest)+need))
		for i := range q.waiting {
			q.waiting[i].end -= q.next
		}
		q.frames, q.next = append(grown, rest...), 0
	}
	q.frames = append(appendHeader(q.frames, opcode, len(p)), p...)
	q.waiting = append(q.waiting, queued{len(q.frames), len(p)})
	q.bytes += len(p)
}

func (c *Conn) sendQueued() {
	for {
		frames, messages := c.queue.take()
		if messages == 0 {
			break
		}
		if c.transmit(frames, nil, messages) != nil {
			c.queue.drop()
		}
	}
	c.sayDue()
}

// take returns the next whole frames, good until the next take; where there are none,
// the goroutine is done.
func (q *queue) take() (frames []byte, messages int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.clear()
		q.sending = false
		if q.empty != nil {
			close(q.empty)
			q.empty = nil
		}
		return nil, 0
	}
	start, end := q.next, q.next
	for _, m := range q.waiting {
		if messages > 0 && m.end-start > batch {
			break
		}
		end = m.end
		q.bytes -= m.bytes
		messages++
	}
	q.next, q.waiting = end, q.waiting[messages:]
	return q.frames[start:end:end], messages
}

// drop forgets what has not been taken.
func (q *queue) drop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.clear()
}

func (q *queue) clear() { q.frames, q.waiting, q.next, q.bytes = nil, nil, 0, 0 }

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
