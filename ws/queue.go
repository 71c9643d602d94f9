package ws

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/coder/websocket"
)

// queue holds what Send has taken and no write has begun. A goroutine of senders empties it
// while there is something in it.
type queue struct {
	mu       sync.Mutex
	waiting  waiting
	messages int  // in waiting, and in those that the goroutine holds
	bytes    int  // their payloads
	sending  bool // the goroutine is there
	dropped  bool // nothing more of this connection goes out
	settled  bool // the last report has been made
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
	switch c.queue.put(byte(typ), p, limits) {
	case full:
		c.endSoon(ErrSlow)
		return c.ended()
	case starts:
		one := [1]*Conn{c}
		c.h.senders.add(one[:])
	}
	return nil
}

// queueShared queues a frame of a Group.
func (c *Conn) queueShared(f *frame) queued {
	if c.cause.Load() != nil {
		return dropped
	}
	limits := &c.h.cfg.Limits
	if f.payload > limits.QueueBytes {
		return tooLarge
	}
	result := c.queue.putShared(f, limits)
	if result == full {
		c.endSoon(ErrSlow)
	}
	return result
}

// queued is what a queue has done with a message.
type queued int

const (
	follows  queued = iota // it stands behind others
	starts                 // it is the first: the senders are to be told
	full                   // it does not fit now
	tooLarge               // it fits in no queue of the connection
	dropped                // the connection ends, and the caller will learn of it
)

// put appends a frame, if it fits.
func (q *queue) put(opcode byte, p []byte, limits *Limits) queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	result := q.enter(len(p), limits)
	if result == follows || result == starts {
		b := q.waiting.own()
		*b = append(appendHeader(*b, opcode, len(p)), p...)
	}
	return result
}

// putShared appends a frame of a Group, if it fits.
func (q *queue) putShared(f *frame, limits *Limits) queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	result := q.enter(f.payload, limits)
	if result == follows || result == starts {
		q.waiting.share(f)
	}
	return result
}

// enter counts a message of that many bytes, if it fits.
func (q *queue) enter(bytes int, limits *Limits) queued {
	switch {
	case q.dropped:
		return dropped
	case q.messages >= limits.QueueMessages || q.bytes+bytes > limits.QueueBytes:
		return full
	}
	q.messages++
	q.bytes += bytes
	if q.sending {
		return follows
	}
	q.sending = true
	return starts
}

// sendQueued is the task of the senders.
func (c *Conn) sendQueued() {
	for {
		w, ok := c.queue.take()
		if !ok {
			break
		}
		if !c.sendWaiting(w) {
			c.queue.drop()
		}
		if w.frames != nil {
			putBuffer(w.frames)
		}
	}
	c.sendDue()
}

// sendWaiting writes frames, until one cannot be written.
func (c *Conn) sendWaiting(w waiting) bool {
	if w.first != nil && c.transmit(w.first.b, nil, 1, w.first.payload) != nil {
		return false
	}
	var frames []byte
	if w.frames != nil {
		frames = *w.frames
	}
	begin := 0
	for _, f := range w.shared {
		if !c.sendFrames(frames[begin:f.at]) || !c.queue.begin(1, f.payload) || c.transmit(f.b, nil, 1, f.payload) != nil {
			return false
		}
		begin = f.at
	}
	return c.sendFrames(frames[begin:])
}

// sendFrames writes finished frames, several small ones at once.
func (c *Conn) sendFrames(frames []byte) bool {
	for len(frames) > 0 {
		n, messages, bytes := nextBatch(frames)
		if !c.queue.begin(messages, bytes) || c.transmit(frames[:n], nil, messages, bytes) != nil {
			return false
		}
		frames = frames[n:]
	}
	return true
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

// take hands the frames over to the goroutine, which starts to write the first; false ends it.
func (q *queue) take() (w waiting, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting.empty() {
		q.sending = false
		if q.empty != nil {
			close(q.empty)
			q.empty = nil
		}
		return waiting{}, false
	}
	w, q.waiting = q.waiting, waiting{}
	if w.first != nil {
		q.messages--
		q.bytes -= w.first.payload
	}
	return w, true
}

// begin counts messages no longer, since a write of them starts; false if they were dropped.
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
	if q.waiting.frames != nil {
		putBuffer(q.waiting.frames)
	}
	q.waiting, q.messages, q.bytes, q.dropped = waiting{}, 0, 0, true
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
