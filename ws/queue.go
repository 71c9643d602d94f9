package ws

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/coder/websocket"
)

// queue holds what Send has taken and no write has begun, as finished frames in pooled
// memory. A goroutine empties it while there is something in it.
type queue struct {
	mu       sync.Mutex
	frames   *[]byte // nil: empty
	messages int     // in frames, and in those that the goroutine holds
	bytes    int     // their payloads
	sending  bool    // the goroutine is there
	dropped  bool    // nothing more of this connection goes out
	settled  bool    // the last report has been made
	reported reported
	empty    chan struct{}
}

// batch is how much of the queue goes out in one write, unless one message is larger.
const batch = 16 << 10

// Send queues a message and never waits. A peer that lets more than
// Limits.QueueBytes or Limits.QueueMessages pile up is closed with 1013 `slow`, and
// no other peer notices. Messages leave in the order of Send; p is copied. A message
// that could never be queued is an error and changes nothing.
//
// The queue still goes out, while a write makes progress within Timeouts.Write, if Serve
// ends in good order: by nil or with 1000, 1001, 1012 or 4000 to 4999. Any other ending
// drops it, and so does the loss of the credential while it goes out.
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
	fits, start := c.queue.put(byte(typ), p, limits)
	if !fits {
		c.endSoon(ErrSlow)
		return c.ended()
	}
	if start {
		go c.sendQueued()
	}
	return nil
}

// put appends a frame, if it fits; start means that the goroutine is to be started.
func (q *queue) put(opcode byte, p []byte, limits *Limits) (fits, start bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.dropped {
		return true, false // the connection ends, and the caller will learn of it
	}
	if q.messages >= limits.QueueMessages || q.bytes+len(p) > limits.QueueBytes {
		return false, false
	}
	if q.frames == nil {
		q.frames = buffers.Get().(*[]byte)
	}
	*q.frames = append(appendHeader(*q.frames, opcode, len(p)), p...)
	q.messages++
	q.bytes += len(p)
	start = !q.sending
	q.sending = true
	return true, start
}

// sendQueued is the queue's goroutine.
func (c *Conn) sendQueued() {
	for {
		frames := c.queue.take()
		if frames == nil {
			break
		}
		c.sendFrames(*frames)
		putBuffer(frames)
	}
	c.sendDue()
}

// sendFrames writes finished frames, several small ones at once.
func (c *Conn) sendFrames(frames []byte) {
	for len(frames) > 0 {
		n, messages, bytes := nextBatch(frames)
		if !c.queue.begin(messages, bytes) {
			return
		}
		if c.transmit(frames[:n], nil, messages, bytes) != nil {
			c.queue.drop()
			return
		}
		frames = frames[n:]
	}
}

// nextBatch returns the length of the frames that go out together, and their content.
func nextBatch(frames []byte) (n, messages, bytes int) {
	for n < len(frames) {
		header, payload := frameLen(frames[n:])
		if n > 0 && n+header+payload > batch {
			break
		}
		n += header + payload
		messages++
		bytes += payload
	}
	return n, messages, bytes
}

// frameLen reads the header of a frame that appendHeader wrote.
func frameLen(b []byte) (header, payload int) {
	switch b[1] {
	case 126:
		return 4, int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		return 10, int(binary.BigEndian.Uint64(b[2:]))
	}
	return 2, int(b[1])
}

// take hands the frames over to the goroutine; nil ends it.
func (q *queue) take() *[]byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.frames == nil {
		q.sending = false
		if q.empty != nil {
			close(q.empty)
			q.empty = nil
		}
		return nil
	}
	frames := q.frames
	q.frames = nil
	return frames
}

// begin takes messages off the queue's account, since a write of them begins; false if they
// were dropped.
func (q *queue) begin(messages, bytes int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.dropped {
		return false
	}
	q.messages -= messages
	q.bytes -= bytes
	return true
}

// drop drops all frames of which no write has begun, now and later.
func (q *queue) drop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.frames != nil {
		putBuffer(q.frames)
	}
	q.frames, q.messages, q.bytes, q.dropped = nil, 0, 0, true
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
