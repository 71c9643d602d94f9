package ws

import (
	"sync/atomic"
	"time"

	"github.com/securews/securews/middleware/live"
)

// traffic are the messages that have passed on a connection.
type traffic struct {
	received, sent           atomic.Int64 // messages
	receivedBytes, sentBytes atomic.Int64 // of their payloads, since the last report
}

// reported is how much of this live.Registry.Stats has; guarded by queue.mu. The numbers of
// messages may wrap around: only differences count, and a report comes at least every 64 s.
type reported struct {
	queued         int
	received, sent uint32
}

// report adds the traffic since the last report to the registry's numbers. A message costs
// no more than two additions to the connection's own numbers, whether someone reads those of
// the registry or not.
func (c *Conn) report(last bool) {
	q, t := &c.queue, &c.traffic
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.settled {
		return
	}
	now := reported{q.bytes, uint32(t.received.Load()), uint32(t.sent.Load())}
	if q.settled = last; last {
		now.queued = 0
	}
	c.binding.Count(
		live.Traffic{Messages: uint64(now.received - q.reported.received), Bytes: uint64(t.receivedBytes.Swap(0))},
		live.Traffic{Messages: uint64(now.sent - q.reported.sent), Bytes: uint64(t.sentBytes.Swap(0))},
		int64(now.queued-q.reported.queued),
	)
	q.reported = now
}

// roundTrip reports the time from a ping to its pong, if Serve has been reading all the
// while: a pong that waits to be read says nothing about the network.
func (c *Conn) roundTrip(now int64) {
	pinged, reading := c.pinged.Load(), c.readSince.Load()
	if pinged != 0 && reading != 0 && reading <= pinged {
		c.binding.Heartbeat(time.Duration(now - pinged))
	}
}
