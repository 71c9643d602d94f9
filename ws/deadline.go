package ws

import "time"

// tick is the resolution of the registry's wheel.
const tick = 250 * time.Millisecond

// due returns when to look at a living connection again.
func (c *Conn) due(now int64) int64 {
	t := &c.h.cfg.Timeouts
	due := now + int64(min(t.Message, t.Write)) // a message or a write that begins now
	for _, at := range [...]int64{
		c.heartbeat(now), c.idleAt(), c.firstMessageAt(),
		c.whileRead(c.messageSince.Load(), t.Message), after(c.writeSince.Load(), t.Write), after(c.flushSince.Load(), t.Write),
	} {
		if at > 0 {
			due = min(due, at)
		}
	}
	return due
}

// after is the deadline of something that began at start; 0 if nothing did.
func after(start int64, d time.Duration) int64 {
	if start == 0 {
		return 0
	}
	return start + int64(d)
}

// whileRead is the same for what only a reader sees: while Serve does not read, the peer
// owes nothing.
func (c *Conn) whileRead(start int64, d time.Duration) int64 {
	reading := c.readSince.Load()
	if start == 0 || reading == 0 {
		return 0
	}
	return max(start, reading) + int64(d)
}

// idleAt is when a connection without messages ends; 0: never.
func (c *Conn) idleAt() int64 {
	if c.h.cfg.Timeouts.Idle == 0 || c.explains {
		return 0
	}
	return c.lastMessage.Load() + int64(c.h.cfg.Timeouts.Idle)
}

// firstMessageAt is when the peer must have sent its first message; 0: it has, or need not.
func (c *Conn) firstMessageAt() int64 {
	if c.h.cfg.Timeouts.FirstMessage == 0 || c.traffic.received.Load() > 0 {
		return 0
	}
	return c.binding.Opened() + int64(c.h.cfg.Timeouts.FirstMessage)
}

func past(at, now int64) bool { return at > 0 && now >= at }

// overdue returns the cause of the first deadline that is past, nil if none is.
func (c *Conn) overdue(now int64) *CloseError {
	t := &c.h.cfg.Timeouts
	switch {
	case past(after(c.writeSince.Load(), t.Write), now), past(after(c.flushSince.Load(), t.Write), now):
		return ErrSlow
	case past(c.whileRead(c.messageSince.Load(), t.Message), now), past(c.firstMessageAt(), now):
		return ErrTimeout
	case c.lastByte.Load() < c.pinged.Load() && past(c.whileRead(c.pinged.Load(), t.Pong), now):
		return c.silent()
	case past(c.idleAt(), now):
		return ErrIdle
	}
	return nil
}

// silent ends a peer that owes an answer: the close frame is written for one that
// reads but cannot write, and TCP is cut without waiting for another answer.
func (c *Conn) silent() *CloseError {
	c.endedAt.CompareAndSwap(0, max(1, c.h.now()-int64(c.h.cfg.Timeouts.Close)))
	return ErrTimeout
}

// hurriedClose is the time that a peer has to answer the close frame in a shutdown that is out of
// time.
const hurriedClose = time.Second

// cutIfDue cuts TCP if the peer has had its time to answer the close frame, or if the frame
// itself could not be written.
func (c *Conn) cutIfDue(now int64, hurry bool) int64 {
	at := c.cutAt()
	last := at + int64(2*controlWrite)
	if hurry {
		at = min(at, c.endedAt.Load()+int64(hurriedClose))
		last = min(last, c.endedAt.Load()+int64(2*controlWrite))
	}
	switch {
	case now < at:
		return at
	case c.closeSent.Load(), now >= last:
		c.cut()
		return 0
	}
	return now + int64(tick)
}

// heartbeat pings a peer that has been silent, and returns when to look again.
func (c *Conn) heartbeat(now int64) int64 {
	t := &c.h.cfg.Timeouts
	heard := c.lastByte.Load()
	if c.pingDue.Load() {
		return now + int64(tick) // still to be written
	}
	// Up to a fifth earlier, so that connections opened together do not beat
	// together, and never later than stated.
	every := int64(float64(t.Heartbeat-tick) * (1 - c.binding.Jitter()/5))
	last := heard
	if pinged := c.pinged.Load(); heard < pinged {
		if due := c.whileRead(pinged, t.Pong); due != 0 {
			return max(due, now+int64(tick))
		}
		last = pinged // unread, so no answer is seen: a ping whose write fails tells that the peer has left
	}
	if now < last+every {
		return last + every
	}
	c.pingDue.Store(true)
	c.h.pingers.add(c)
	return now + int64(tick)
}
