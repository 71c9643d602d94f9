package ws

import "math"

// rate is a rate with a burst.
type rate struct {
	every, burst int64 // nanoseconds per event; how far ahead of the rate a bucket may run
}

func newRate(perSecond, burst int) rate {
	every := max(1, int64(1e9)/int64(perSecond))
	return rate{every: every, burst: every * min(int64(burst), math.MaxInt64/4/every)}
}

// bucket holds events to a rate (GCRA): one word of state. It belongs to one goroutine at a
// time.
type bucket struct {
	*rate
	due int64 // when the bucket is full again
}

func (b *bucket) take(now int64) bool { return b.takeN(now, 1) }

// takeN takes n events at once, at most 1<<31.
func (b *bucket) takeN(now, n int64) bool {
	due := max(b.due, now) + n*b.every
	if due-now > b.burst {
		return false
	}
	b.due = due
	return true
}
