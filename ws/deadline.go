package ws

import "time"

// tick is the resolution of the registry's wheel.
const tick = 250 * time.Millisecond

// controlWrite bounds a frame of the handler's own: a ping or a close frame to a
// peer whose window is full must not hold up those of the others.
const controlWrite = time.Second

// hurriedClose is the time that a peer has to answer the close frame in a shutdown that is out of
// time.
const hurriedClose = time.Second

// state is what the deadlines of a living connection depend on. Its times are those of [times].
type state struct {
	opened       int64
	lastByte     int64
	lastMessage  int64
	readSince    int64
	messageSince int64
	writeSince   int64
	flushSince   int64
	pinged       int64
	pingDue      bool    // a ping is still to be written
	received     bool    // the first message has come
	idles        bool    // it may be without messages for as long as it likes
	jitter       float64 // of the heartbeat, from 0 to 1
}

// next is what follows from the deadlines of a living connection.
type next struct {
	cause  *CloseError // why it ends; nil: it goes on
	silent bool        // it ends because the peer owes an answer
	ping   bool        // the peer is to be pinged
	at     int64       // when to look again
}

// next returns what follows at a time.
func (t *Timeouts) next(now int64, s state) next {
	unanswered := s.lastByte < s.pinged
	switch {
	case past(after(s.writeSince, t.Write), now), past(after(s.flushSince, t.Write), now):
		return next{cause: ErrSlow}
	case past(s.whileRead(s.messageSince, t.Message), now), past(t.firstMessage(s), now):
		return next{cause: ErrTimeout}
	case unanswered && past(s.whileRead(s.pinged, t.Pong), now):
		return next{cause: ErrTimeout, silent: true}
	case past(t.idle(s), now):
		return next{cause: ErrIdle}
	}
	at, ping := t.heartbeat(now, s)
	at = min(at, now+int64(min(t.Message, t.Write))) // a message or a write that begins now
	for _, due := range [...]int64{
		t.idle(s), t.firstMessage(s), s.whileRead(s.messageSince, t.Message), after(s.writeSince, t.Write), after(s.flushSince, t.Write),
	} {
		if due > 0 {
			at = min(at, due)
		}
	}
	return next{at: at, ping: ping}
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
func (s state) whileRead(start int64, d time.Duration) int64 {
	if start == 0 || s.readSince == 0 {
		return 0
	}
	return max(start, s.readSince) + int64(d)
}

func past(at, now int64) bool { return at > 0 && now >= at }

// idle is when a connection without messages ends; 0: never.
func (t *Timeouts) idle(s state) int64 {
	if t.Idle == 0 || s.idles {
		return 0
	}
	return s.lastMessage + int64(t.Idle)
}

// firstMessage is when the peer must have sent its first message; 0: it has, or need not.
func (t *Timeouts) firstMessage(s state) int64 {
	if t.FirstMessage == 0 || s.received {
		return 0
	}
	return s.opened + int64(t.FirstMessage)
}

// heartbeat returns when to look at the heartbeat again, and whether a peer that has been silent
// is to be pinged now.
func (t *Timeouts) heartbeat(now int64, s state) (at int64, ping bool) {
	soon := now + int64(tick)
	if s.pingDue {
		return soon, false
	}
	// Up to a fifth earlier, so that connections opened together do not beat
	// together, and never later than stated.
	every := int64(float64(t.Heartbeat-tick) * (1 - s.jitter/5))
	last := s.lastByte
	if s.lastByte < s.pinged {
		if due := s.whileRead(s.pinged, t.Pong); due != 0 {
			return max(due, soon), false
		}
		last = s.pinged // unread, so no answer is seen: a ping whose write fails tells that the peer has left
	}
	if now < last+every {
		return last + every, false
	}
	return soon, true
}

// cut returns when to cut TCP of a connection that ended at a time: when the peer has had its time to
// answer the close frame, or when the frame itself could not be written; 0: now.
func (t *Timeouts) cut(now, ended int64, closeSent, hurry bool) int64 {
	grace := t.Close
	last := grace + 2*controlWrite
	if hurry {
		grace, last = min(grace, hurriedClose), min(last, 2*controlWrite)
	}
	switch {
	case now < ended+int64(grace):
		return ended + int64(grace)
	case closeSent, now >= ended+int64(last):
		return 0
	}
	return now + int64(tick)
}
