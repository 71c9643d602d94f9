package ws

import "sync/atomic"

// times are moments in the life of a connection, on the clock of the registry.
type times struct {
	lastByte     atomic.Int64
	lastMessage  atomic.Int64
	readSince    atomic.Int64 // 0: Serve does not read
	messageSince atomic.Int64 // 0: between two messages
	writeSince   atomic.Int64 // since the last progress of a write; 0: no write under way
	flushSince   atomic.Int64 // the same of the queue that is left when Serve has returned; 0: it has not
	pinged       atomic.Int64 // when the ping was written; 0: no answer owed
}

// progress notes that a write goes on.
func (t *times) progress(now int64) {
	t.writeSince.Store(now)
	if t.flushSince.Load() != 0 {
		t.flushSince.Store(now)
	}
}

// state reads them.
func (t *times) state() state {
	return state{
		lastByte: t.lastByte.Load(), lastMessage: t.lastMessage.Load(), readSince: t.readSince.Load(),
		messageSince: t.messageSince.Load(), writeSince: t.writeSince.Load(), flushSince: t.flushSince.Load(),
		pinged: t.pinged.Load(),
	}
}
