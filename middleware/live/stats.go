package live

import (
	"sync/atomic"
	"time"
)

// Stats are the numbers of a [Registry], for metrics.
type Stats struct {
	Open           int                  // members, those being opened included
	EventsDropped  uint64               // events that Config.Events was not called for
	Received, Sent Traffic              // of members that call [Binding.Count], as those of package ws do
	QueueBytes     int64                // queued by them for their peers, and not yet written
	Heartbeats     Histogram            // from a ping to its pong
	Closes         map[*Cause]Histogram // from an end to its close frame or last event, for each cause of this package
}

// Traffic are the messages of a member, and the bytes of their payloads.
type Traffic struct{ Messages, Bytes uint64 }

// Histogram is a distribution of durations.
type Histogram struct {
	Buckets []Bucket      // ascending
	Count   uint64        // of all durations, those above the last bucket included
	Sum     time.Duration // of all durations
}

// Bucket has the number of durations that are at most Upper.
type Bucket struct {
	Upper time.Duration
	Count uint64
}

// Stats returns the numbers at this moment; all zero from the zero Registry. It asks no
// member: its cost does not depend on how many there are.
func (g *Registry) Stats() Stats {
	if g.zero() {
		return Stats{}
	}
	c := &g.counters
	s := Stats{
		Open:          int(g.open.Load()),
		EventsDropped: g.events.droppedInAll(),
		Received:      c.received.traffic(),
		Sent:          c.sent.traffic(),
		QueueBytes:    c.queueBytes.Load(),
		Heartbeats:    c.heartbeats.histogram(),
		Closes:        make(map[*Cause]Histogram, len(causes)),
	}
	for i, cause := range causes {
		s.Closes[cause] = c.closes[i].histogram()
	}
	return s
}

// Count adds to the numbers of [Registry.Stats] the messages that have passed since the last call of
// Count, and by how many bytes the queue for the peer has grown; negative if it has shrunk.
func (b *Binding) Count(received, sent Traffic, queueBytes int64) {
	c := &b.registry.counters
	c.received.add(received)
	c.sent.add(sent)
	if queueBytes != 0 {
		c.queueBytes.Add(queueBytes)
	}
}

// Heartbeat adds the time from a ping to its pong to Stats.Heartbeats.
func (b *Binding) Heartbeat(d time.Duration) { b.registry.counters.heartbeats.add(d) }

// Closed says that the peer has been told the cause of the end: its close frame is written.
// If the cause is one of this package, the time since the end began is added to Stats.Closes.
func (b *Binding) Closed(cause *Cause) {
	if b.stage.Load() != bound {
		return
	}
	at := b.ending.at.Load()
	for i, of := range causes {
		if at != 0 && of.Code == cause.Code && of.Reason == cause.Reason {
			b.registry.counters.closes[i].add(time.Duration(b.registry.Now() - at))
		}
	}
}

// causes are those that the registry ends members with.
var causes = [...]*Cause{Expired, Reauth, Revoked, Forbidden, Restart, Later}

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
