package redial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

var (
	errMessageType = errors.New("redial: write: the type is neither text nor binary")
	errTextNotUTF8 = errors.New("redial: write: text that is not UTF-8 (RFC 6455 §8.1)")
	errStalled     = errors.New("redial: write: not complete within Timeouts.Write")
)

// Write sends a message and returns when the kernel has accepted it. After Timeouts.Write
// the connection is cut. It does not wait for the messages that Send has queued. After an
// error the message may or may not have arrived; it is not sent again and not reported to
// Config.OnUndelivered.
func (c *Conn) Write(typ websocket.MessageType, p []byte) error {
	if err := checkMessage(typ, p); err != nil {
		return err
	}
	if !c.sealed() {
		c.pace.take(len(p)) // without a delay: the next queued message waits
	}
	_, err := c.write(typ, p)
	return err
}

// WriteJSON writes v as a text message.
func (c *Conn) WriteJSON(v any) error {
	p, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("redial: json: %w", err)
	}
	return c.Write(websocket.MessageText, p)
}

// Send queues a message for this connection alone, behind the messages that are already
// queued, and never waits; p is copied. If the connection ends first, the message is
// reported to Config.OnUndelivered.
func (c *Conn) Send(typ websocket.MessageType, p []byte) error {
	if err := checkMessage(typ, p); err != nil {
		return err
	}
	if err := c.ended(); err != nil {
		return err
	}
	if err := checkSize(c.sizeOf(p), c.outgoing); err != nil {
		return err
	}
	return c.client.queue.push(queued{typ, p, c})
}

// Send queues a message and never waits. Messages are sent in the order of Send over the
// current connection or the next one; p is copied. If the queue is full, Send returns
// [ErrQueueFull], if it is larger than the server accepts [ErrTooBig], and after Run has ended
// [ErrStopped]. Messages may be queued before the
// first Run.
func (c *Client) Send(typ websocket.MessageType, p []byte) error {
	if c == nil || c.queue == nil {
		return errZero
	}
	if err := checkMessage(typ, p); err != nil {
		return err
	}
	if err := checkSize(len(p), int(c.outgoing.Load())); err != nil {
		return err
	}
	return c.queue.push(queued{typ, p, nil})
}

func checkMessage(typ websocket.MessageType, p []byte) error {
	switch typ {
	case websocket.MessageBinary:
		return nil
	case websocket.MessageText:
		if utf8.Valid(p) {
			return nil
		}
		return errTextNotUTF8
	}
	return errMessageType
}

// write sends one message; begun reports whether part of it may have been sent.
func (c *Conn) write(typ websocket.MessageType, p []byte) (begun bool, err error) {
	if err := c.ended(); err != nil {
		return false, err
	}
	if err := checkSize(len(p), c.outgoing); err != nil {
		return false, err
	}
	timer := time.AfterFunc(c.client.cfg.Timeouts.Write, func() { c.cut(errStalled) })
	defer timer.Stop()
	if err := c.coder.Write(context.Background(), typ, p); err != nil {
		select {
		case <-c.over: // this side has already ended the connection
		default:
			c.cut(err)
		}
		return true, c.ended()
	}
	return true, nil
}

// send writes the queued messages until the connection ends.
func (c *Conn) send() {
	if !c.awaitLayer() {
		return
	}
	q := c.client.queue
	for {
		m, ok := q.peek()
		if !ok {
			select {
			case <-q.more:
				continue
			case <-c.over:
				return
			}
		}
		if m.only != nil && m.only != c {
			q.pop()
			c.client.undelivered(m, false, m.only.ended())
			continue
		}
		if err := checkSize(c.sizeOf(m.payload), c.outgoing); err != nil {
			q.pop()
			c.client.undelivered(m, false, err)
			continue
		}
		if !c.awaitFit(len(m.payload)) || !c.wait(c.pace.take(c.sizeOf(m.payload))) {
			return
		}
		begun, err := c.writeQueued(m.typ, m.payload)
		if err != nil && !begun {
			return
		}
		q.pop()
		if err != nil {
			c.client.undelivered(m, true, err)
			return
		}
		c.unconfirmed.add(m)
	}
}

// sizeOf returns the size of the message in which p is sent.
func (c *Conn) sizeOf(p []byte) int {
	if c.sealed() {
		return len(p) + sealedOverhead
	}
	return len(p)
}

// wait returns false if the connection ends during the delay.
func (c *Conn) wait(delay time.Duration) bool {
	if delay <= 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.over:
		return false
	}
}
