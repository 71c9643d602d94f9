package ws

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/securews/securews/middleware"
)

// wake is the wheel's question to a connection: it acts on what is due and answers
// when to be asked again.
func (c *Conn) wake(now int64) int64 {
	if c.cause.Load() != nil {
		return c.cutWhenDue(now)
	}
	if cause := c.overdue(now); cause != nil {
		c.endSoon(cause)
		if cause == ErrSlow {
			c.cut() // a close frame could not get through either
		}
		return c.cutWhenDue(now)
	}
	t := &c.h.cfg.Timeouts
	next := now + min(int64(t.Message), int64(t.Write), int64(t.Idle))
	for _, at := range [...]int64{
		c.heartbeat(now), c.recheck(now), c.staleAt(), c.drainAt(), c.expires, c.opened + int64(t.MaxAge),
		c.whileRead(c.messageSince.Load(), t.Message), after(c.writeSince.Load(), t.Write), after(c.flushSince.Load(), t.Write), c.lastMessage.Load() + int64(t.Idle),
	} {
		if at > 0 {
			next = min(next, at)
		}
	}
	return next
}

// after is the deadline of something that began at start; 0 where nothing did.
func after(start int64, d time.Duration) int64 {
	if start == 0 {
		return 0
	}
	return start + int64(d)
}

// whileRead is the deadline of something that the peer owes us since start. It runs
// while somebody reads: a Serve that is busy elsewhere is not the peer's fault.
func (c *Conn) whileRead(start int64, d time.Duration) int64 {
	reading := c.readSince.Load()
	if start == 0 || reading == 0 {
		return 0
	}
	return max(start, reading) + int64(d)
}

func past(at, now int64) bool { return at > 0 && now >= at }

// overdue returns the first deadline that is past, nil where none is.
func (c *Conn) overdue(now int64) *CloseError {
	t := &c.h.cfg.Timeouts
	switch {
	case past(c.expires, now):
		return ErrExpired
	case past(after(c.writeSince.Load(), t.Write), now), past(after(c.flushSince.Load(), t.Write), now):
		return ErrSlow
	case past(c.whileRead(c.messageSince.Load(), t.Message), now):
		return ErrTimeout
	case c.lastByte.Load() < c.pinged.Load() && past(c.whileRead(c.pinged.Load(), t.Pong), now):
		return c.silent()
	case past(c.staleAt(), now):
		return ErrLater
	case past(c.drainAt(), now):
		return ErrDraining
	case past(c.opened+int64(t.MaxAge), now):
		return ErrReauth
	case past(c.lastMessage.Load()+int64(t.Idle), now):
		return ErrIdle
	}
	return nil
}

// silent ends a peer that owes an answer: its close frame is written for one that
// hears but cannot speak, and TCP is cut without waiting for another answer.
func (c *Conn) silent() *CloseError {
	c.endedAt.CompareAndSwap(0, max(1, c.h.now()-int64(c.h.cfg.Timeouts.Close)))
	return ErrTimeout
}

// cutWhenDue cuts TCP when the peer has had its time to answer the close frame, or
// the frame itself could not be written.
func (c *Conn) cutWhenDue(now int64) int64 {
	at := c.cutAt()
	last := at + int64(2*controlWrite)
	if c.h.hurry.Load() {
		at, last = now, c.endedAt.Load()+int64(2*tick)
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
	if pinged := c.pinged.Load(); heard < pinged {
		return max(c.whileRead(pinged, t.Pong), now+int64(tick))
	}
	if c.pingDue.Load() {
		return now + int64(tick) // still to be written
	}
	// Up to a fifth earlier, so that connections opened together do not beat
	// together, and never later than stated.
	every := int64(float64(t.Heartbeat-tick) * (1 - c.jitter/5))
	if now < heard+every {
		return heard + every
	}
	c.pingDue.Store(true)
	c.h.pingers.add(c)
	return now + int64(tick)
}

// recheck has Revocations and Revalidate asked, and returns when to ask again.
func (c *Conn) recheck(now int64) int64 {
	if !c.h.rechecks() {
		return 0
	}
	at := c.recheckAt.Load()
	if at == 0 || now < at {
		return at
	}
	c.recheckAt.Store(0)
	c.h.recheckers.add(c)
	return 0
}

// staleAt is when the last good answer no longer counts; 0: nobody is asked.
func (c *Conn) staleAt() int64 {
	if !c.h.rechecks() {
		return 0
	}
	return c.lastGood.Load() + int64(c.h.cfg.Timeouts.Stale)
}

// recheckTimeout bounds one question to Revocations and Revalidate.
const recheckTimeout = 5 * time.Second

// askAgain is the recheckers' task. Where nobody answers, the wheel ends the connection
// at Timeouts.Stale.
func (c *Conn) askAgain() {
	if c.ended() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, recheckTimeout)
	defer cancel()
	cause, err := c.stillGood(ctx)
	if c.ended() != nil {
		return
	}
	now := c.h.now()
	pause := int64(float64(c.h.cfg.Timeouts.Recheck) * (1 - c.jitter/5))
	switch {
	case cause != nil:
		c.end(cause)
		c.sendClose()
		return
	case err == nil:
		c.lastGood.Store(now)
	default:
		c.h.warn(now, err)
		pause = min(pause, int64(float64(retryRecheck)*(1-c.jitter/2)))
	}
	c.recheckAt.Store(now + pause)
	c.h.wheel.hasten(c, now+pause)
}

// retryRecheck is when a question without an answer is asked again, less up to half.
const retryRecheck = 10 * time.Second

// warn logs that nobody knows whether connections are still good, once for many of
// them.
func (h *Handler) warn(now int64, err error) {
	last := h.warned.Load()
	if last != 0 && now-last < int64(retryRecheck) || !h.warned.CompareAndSwap(last, now) {
		return
	}
	h.cfg.Log.Warn("ws: recheck failed, connections go on until Timeouts.Stale", "cause", err)
}

// stillGood returns a cause to end, or an error where nobody knows.
func (c *Conn) stillGood(ctx context.Context) (cause *CloseError, err error) {
	defer func() {
		if p := recover(); p != nil {
			cause, err = ErrInternal.Wrap(c.h.panicked(c, p)), nil
		}
	}()
	if c.h.cfg.Revocations != nil {
		revoked, err := c.h.cfg.Revocations.Revoked(ctx, c.principal)
		if revoked {
			return ErrRevoked, nil
		}
		if err != nil {
			return nil, err
		}
	}
	if c.h.cfg.Revalidate == nil {
		return nil, nil
	}
	return refused(c.h.cfg.Revalidate(ctx, c.Principal()))
}

// refused reads Revalidate's answer.
func refused(err error) (*CloseError, error) {
	var own *CloseError
	var f *middleware.Refusal
	switch {
	case errors.As(err, &own):
		return closeErrorOr(err, ErrInternal), nil
	case !errors.As(err, &f), f == nil:
		return nil, err
	case f.Reason == middleware.ReasonCredentialRevoked:
		return ErrRevoked.Wrap(err), nil
	case f.Status == http.StatusUnauthorized:
		return ErrExpired.Wrap(err), nil
	case f.Status == http.StatusForbidden:
		return ErrForbidden.Wrap(err), nil
	}
	return nil, err
}
