package redial

import (
	"context"
	"time"

	"github.com/securews/securews/ws"
)

// confirmAfter is the time from the first unconfirmed message to the ping that confirms it.
const confirmAfter = 250 * time.Millisecond

// heartbeat pings a server that has been silent, and cuts the connection if it does not
// answer. It expects no answer while the reader waits for serve, since the pong is behind
// the message that serve has not read. It also pings to confirm queued messages.
func (c *Conn) heartbeat() {
	every := jittered(c.client.cfg.Timeouts.Heartbeat)
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-c.unconfirmed.begun:
			timer.Reset(min(confirmAfter, c.untilPing(every)))
			continue
		case <-c.unconfirmed.full:
		case <-c.over:
			return
		}
		position, empty := c.unconfirmed.mark()
		if !empty || c.untilPing(every) <= 0 {
			c.ping(position)
		}
		if _, empty = c.unconfirmed.mark(); empty {
			timer.Reset(max(0, c.untilPing(every)))
		} else {
			timer.Reset(confirmAfter)
		}
	}
}

// untilPing returns the time until the server has been silent for every.
func (c *Conn) untilPing(every time.Duration) time.Duration {
	return every - time.Duration(c.wire.now()-c.wire.lastByte.Load())
}

// ping waits for the answer, which confirms the messages before the position.
func (c *Conn) ping(position int) {
	asked := c.wire.now()
	ctx, cancel := context.WithTimeout(context.Background(), c.client.cfg.Timeouts.Pong)
	defer cancel()
	err := c.coder.Ping(ctx)
	if err == nil {
		c.unconfirmed.confirm(position)
	}
	heard := max(c.wire.lastByte.Load(), c.handed.Load())
	if err != nil && heard < asked && !c.waiting.Load() {
		c.end(ws.ErrTimeout)
		c.wire.cut()
	}
}
