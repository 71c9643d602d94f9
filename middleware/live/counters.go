package live

import (
	"sync/atomic"
	"time"
)

// Traffic are the messages of a member, and the bytes of their payloads.
type Traffic struct{ Messages, Bytes uint64 }

// Histogram is a distribution of durations.
type Histogram struct {
	Buckets []Bucket      // ascending
	Count   uint64        // of all durations, those above the last bucket included
	Sum     time.Duration // of all durations
}

// Bucket has the number of durations that are at most Upper, those of smaller buckets included.
type Bucket struct {
	Upper time.Duration
	Count uint64
}

// counters have the numbers of all members, those that have left included.
type counters struct {
	received, sent passed
	queueBytes     atomic.Int64
	heartbeats     durations
	closes         [len(causes)]durations
}

// passed is the sum of Traffic.
type passed struct{ messages, bytes atomic.Uint64 }

func (p *passed) add(t Traffic) {
	if t != (Traffic{}) {
		p.messages.Add(t.Messages)
		p.bytes.Add(t.Bytes)
	}
}

func (p *passed) traffic() Traffic { return Traffic{p.messages.Load(), p.bytes.Load()} }

// uppers are the bounds of the buckets.
var uppers = [...]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// durations are a histogram that is being filled.
type durations struct {
	counts [len(uppers) + 1]atomic.Uint64 // of the buckets, each by itself; the last one has no bound
	sum    atomic.Int64
}

func (d *durations) add(x time.Duration) {
	i := 0
	for i < len(uppers) && x > uppers[i] {
		i++
	}
	d.counts[i].Add(1)
	d.sum.Add(int64(x))
}

func (d *durations) histogram() Histogram {
	h := Histogram{Buckets: make([]Bucket, len(uppers)), Sum: time.Duration(d.sum.Load())}
	for i := range d.counts {
		h.Count += d.counts[i].Load()
		if i < len(uppers) {
			h.Buckets[i] = Bucket{uppers[i], h.Count}
		}
	}
	return h
}
