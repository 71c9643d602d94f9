package live

import (
	"sync/atomic"
	"time"
)

// A suspended machine stops the monotonic clock, by which deadlines are kept, and not the wall
// clock, by which credentials expire. The wheel compares the two at each tick. The time by which the
// wall clock is ahead counts as time that has passed; whether the machine was suspended or the clock
// was set cannot be told, and in both cases the credentials are that much older.

// leastGap is how far the wall clock must have gone ahead to count, and the most by which a
// member outlives its deadline for that reason.
const leastGap = time.Second

// lag is how far the monotonic clock has fallen behind the wall clock.
type lag struct {
	behind func(now int64) int64 // reads it; nil: the two agree
	known  atomic.Int64
}

// begin is called when nothing was watched before.
func (l *lag) begin(now int64) {
	if l.behind != nil {
		l.known.Store(l.behind(now))
	}
}

// grown returns by how much it has grown, once that is leastGap or more; otherwise 0. A wall
// clock that was set back makes it smaller at once, so that no member gains from it later.
func (l *lag) grown(now int64) (gap int64) {
	if l.behind == nil {
		return 0
	}
	is := l.behind(now)
	gap = is - l.known.Load()
	if gap >= 0 && gap < int64(leastGap) {
		return 0
	}
	l.known.Store(is)
	return max(0, gap)
}
