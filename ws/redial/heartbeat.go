package redial

import (
	"context"
	"time"

	"github.com/securews/securews/ws"
)

// heartbeat pings a server that has been silent, and cuts the connection if it does not
// answer. It expects no answer while the reader waits for serve, since the pong is behind
// the message that serve has not read.
func (c *Conn) heartbeat() {
	every := jittered(c.client.cfg.Timeouts.Heartbeat)
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-c.over:
			return
		}
		wait := every - time.Duration(c.wire.now()-c.wire.lastByte.Load())
		if wait <= 0 {
			c.ping()
			wait = every
		}
		timer.Reset(wait)
	}
}

func (c *Conn) ping() {
	asked := c.wire.now()
	ctx, cancel := context.WithTimeout(context.Background(), c.client.cfg.Timeouts.Pong)
	defer cancel()
	err := c.coder.Ping(ctx)
	heard := max(c.wire.lastByte.Load(), c.handed.Load())
	if err != nil && heard < asked && !c.waiting.Load() {
		c.end(ws.ErrTimeout)
		c.wire.cut()
	}
}
