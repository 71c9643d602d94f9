package ws

import "sync/atomic"

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
