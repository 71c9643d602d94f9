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
	errStalled     = errors.New("redial: write: the server takes nothing for Timeouts.Write")
)

// Write sends a message and returns when the kernel has taken it, at the latest after
// Timeouts.Write, when the connection is lost. It does not wait for what Send has
// queued. After an error the message may or may not have arrived; it is not sent again
// and not reported to Config.OnUndelivered.
func (c *Conn) Write(typ websocket.MessageType, p []byte) error {
	if err := checkMessage(typ, p); err != nil {
		return err
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

// Send queues a message for this connection alone, behind what is queued already, and
// never waits; p is copied. If the connection ends first, the message is reported to
// Config.OnUndelivered.
func (c *Conn) Send(typ websocket.MessageType, p []byte) error {
	if err := checkMessage(typ, p); err != nil {
		return err
	}
	if err := c.ended(); err != nil {
		return err
	}
	return c.client.queue.push(queued{typ, p, c})
}

// Send queues a message and never waits: it leaves over the connection there is, or
// over the next, in the order of Send; p is copied. With more queued than Limits
// allow it answers [ErrQueueFull], and once Run has ended [ErrStopped]. Before the
// first Run messages are queued as well.
func (c *Client) Send(typ websocket.MessageType, p []byte) error {
	if c == nil || c.queue == nil {
		return errZero
	}
	if err := checkMessage(typ, p); err != nil {
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

// write sends one message; begun: some of it may be on its way.
func (c *Conn) write(typ websocket.MessageType, p []byte) (begun bool, err error) {
	if err := c.ended(); err != nil {
		return false, err
	}
	timer := time.AfterFunc(c.client.cfg.Timeouts.Write, func() { c.lost(errStalled) })
	defer timer.Stop()
	if err := c.coder.Write(context.Background(), typ, p); err != nil {
		select {
		case <-c.over: // our close frame was first
		default:
			c.lost(err)
		}
		return true, c.ended()
	}
	return true, nil
}

// send is the sender: it empties the queue while the connection lives.
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
		begun, err := c.writeQueued(m.typ, m.payload)
		if err != nil && !begun {
			return
		}
		q.pop()
		if err != nil {
			c.client.undelivered(m, true, err)
			return
		}
	}
}
