package live

import "time"

// Stats are the numbers of a [Registry], for metrics. Open and QueueBytes are those of this moment;
// the others count from [New] on, members that have left included.
type Stats struct {
	Open           int                  // members, those being opened included
	EventsDropped  uint64               // events that Config.Events was not called for
	Received, Sent Traffic              // of members that call [Binding.Count], as those of package ws do
	QueueBytes     int64                // queued by them for their peers, and not yet written
	Heartbeats     Histogram            // from a ping to its pong
	Closes         map[*Cause]Histogram // from an end to its close frame or last event; the keys are the causes of this package
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
