package redial

import (
	"context"

	"github.com/coder/websocket"
)

// Send queues a message and never waits. Messages are sent in the order of Send over the
// current connection or the next one; p is copied. If the queue is full, Send returns
// [ErrQueueFull], if it is larger than the server accepts [ErrTooBig], and
// after Run has ended [ErrStopped]. Messages may be queued before the first Run.
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
	return c.queue.put(queued{typ, p, nil})
}

// Send queues a message for this connection alone, behind the messages that are already
// queued, and never waits; p is copied. If the connection ends first, the message is
// reported to Config.OnUndelivered. The errors are those of [Client.Send], and the cause if the
// connection has ended.
func (c *Conn) Send(typ websocket.MessageType, p []byte) error {
	if err := checkMessage(typ, p); err != nil {
		return err
	}
	if err := c.link.ended(); err != nil {
		return err
	}
	if err := checkSize(c.out.sizeOf(p), c.out.most); err != nil {
		return err
	}
	return c.out.queue.put(queued{typ, p, &c.link.lifetime})
}

// BufferedAmount returns the bytes of the messages that wait to be sent.
func (c *Client) BufferedAmount() int {
	if c == nil || c.queue == nil {
		return 0
	}
	return c.queue.buffered()
}

// Room waits until Send would queue a message of n bytes. It returns the cause of ctx, or
// [ErrStopped] after Run has ended, or [ErrTooBig] or [ErrQueueFull] if there will never be room.
func (c *Client) Room(ctx context.Context, n int) error {
	if c == nil || c.queue == nil {
		return errZero
	}
	if err := checkSize(n, int(c.outgoing.Load())); err != nil {
		return err
	}
	for {
		changed, err := c.queue.room(n)
		if err != nil || changed == nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
