package ws

import (
	"fmt"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/buffer"
)

// Send queues a message and never waits. A peer that lets more than
// Limits.QueueBytes or Limits.QueueMessages pile up is closed with 1013 `slow`, and
// no other peer notices. Messages leave in the order of Send; p is copied. A message
// that could never be queued is an error and changes nothing: one that Write refuses, or of
// more than Limits.QueueBytes.
//
// The queue still goes out, while a write makes progress within Timeouts.Write, if the
// connection ends in good order: Serve returns nil, or the code is 1000, 1001, 1012 or 4000 to
// 4999. Any other ending drops it, and so does the loss of the credential while it goes out.
func (c *Conn) Send(typ websocket.MessageType, p []byte) error {
	if err := checkMessage(typ, p); err != nil {
		return err
	}
	if err := c.ended(); err != nil {
		return err
	}
	switch c.out.send(byte(typ), p) {
	case tooLarge:
		return fmt.Errorf("ws: send: %d bytes are more than Limits.QueueBytes, %d", len(p), c.rules.limits.QueueBytes)
	case full:
		return c.ended()
	}
	return nil
}

// send queues a message.
func (o *outbound) send(opcode byte, p []byte) putResult {
	result := o.queue.put(opcode, p, o.link.rules.limits.queue())
	switch result {
	case full:
		o.endSoon(ErrSlow)
	case starts:
		one := [1]*outbound{o}
		o.workers.senders.add(one[:])
	}
	return result
}

// sendShared queues a frame of a Group.
func (o *outbound) sendShared(f *frame) putResult {
	if o.link.ending.cause.Load() != nil {
		return dropped
	}
	result := o.queue.putShared(f, o.link.rules.limits.queue())
	if result == full {
		o.endSoon(ErrSlow)
	}
	return result
}

// sendQueued is the task of the senders.
func (o *outbound) sendQueued() {
	for {
		w, ok := o.queue.take()
		if !ok {
			break
		}
		if !o.sendWaiting(w) {
			o.queue.drop()
		}
		if w.frames != nil {
			buffer.Put(w.frames)
		}
	}
	o.sendDue()
}

// sendWaiting writes frames, until one cannot be written.
func (o *outbound) sendWaiting(w waiting) bool {
	if w.first != nil && o.transmit(w.first.b, nil, 1, w.first.payload) != nil {
		return false
	}
	var frames []byte
	if w.frames != nil {
		frames = *w.frames
	}
	begin := 0
	for _, f := range w.shared {
		if !o.sendFrames(frames[begin:f.at]) || !o.queue.begin(1, f.payload) || o.transmit(f.b, nil, 1, f.payload) != nil {
			return false
		}
		begin = f.at
	}
	return o.sendFrames(frames[begin:])
}

// sendFrames writes finished frames, several small ones at once.
func (o *outbound) sendFrames(frames []byte) bool {
	for len(frames) > 0 {
		n, messages, bytes := nextBatch(frames)
		if !o.queue.begin(messages, bytes) || o.transmit(frames[:n], nil, messages, bytes) != nil {
			return false
		}
		frames = frames[n:]
	}
	return true
}

// batch is how much of the queue goes out in one write, unless one message is larger.
const batch = 16 << 10

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

// flush returns when the queue is sent or dropped, which is due when Serve has returned.
func (o *outbound) flush() {
	o.link.times.flushSince.Store(o.link.now())
	o.queue.wait()
}
