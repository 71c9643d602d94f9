package live

import (
	"encoding/binary"
	"errors"
	"net"
	"time"
)

// handTime is how long a handler that has read the close frame has to return from that read
// before the context of its request ends: some libraries report the context in its place.
const handTime = 50 * time.Millisecond

// end begins the end. It does not wait.
func (c *conn) end(cause *Cause) {
	if errors.Is(cause, Revoked) {
		c.reset.Store(true)
	}
	if c.begin(cause) {
		go c.sayClose()
	}
}

// begin reports whether this is the first end of a connection that is open.
func (c *conn) begin(cause *Cause) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.closing.Load() != nil {
		return false
	}
	end := &closing{cause: cause}
	c.closing.Store(end)
	end.cut = time.AfterFunc(c.grace(), c.cut)
	end.next = time.AfterFunc(c.patience(), c.hasten)
	_ = c.Conn.SetWriteDeadline(time.Time{})
	return true
}

func (c *conn) grace() time.Duration { return c.w.layer.registry.cfg.Timeouts.Grace }

// patience is how long the handler is given to complete its frame before it is told, and
// then to read before its context ends.
func (c *conn) patience() time.Duration { return max(c.grace()/4, handTime) }

// hasten takes the next step of telling the handler. The context does not end while a frame
// is under way: some libraries would leave it incomplete.
func (c *conn) hasten() {
	if end := c.closing.Load(); !c.tell() && end.free.Load() {
		c.w.cancel(end.cause)
	}
}

// hand says that the handler knows of the end. conn.mu is held.
func (e *closing) hand() {
	if !e.handed {
		e.handed = true
		e.next.Reset(handTime)
	}
}

// sayClose writes the close frame, if a frame can begin, and then tells the handler. If
// something else is being written, that writer calls it afterwards.
func (c *conn) sayClose() {
	if !c.writing.TryLock() {
		return
	}
	end, carries := c.closing.Load(), c.carries.Load()
	switch {
	case carries != frames, c.broken, c.said.Load(), !c.sent.boundary():
	case c.sent.closed:
		c.said.Store(true)
	default:
		_, err := c.pass(closeFrame(end.cause, false))
		c.said.Store(err == nil)
	}
	free := carries != frames || c.broken || c.said.Load()
	c.writing.Unlock()
	if carries == otherContent {
		c.cut()
		c.w.cancel(end.cause)
		return
	}
	if free && end.free.CompareAndSwap(false, true) && !c.tell() {
		c.nextStep(handTime)
	}
	c.conclude()
}

// nextStep has hasten called after d.
func (c *conn) nextStep(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := c.closing.Load()
	if end.handed {
		d = handTime
	}
	end.next.Reset(d)
}

// tell has the handler read the close frame; false if it does already.
func (c *conn) tell() bool {
	if !c.closing.Load().told.CompareAndSwap(false, true) {
		return false
	}
	go c.finish()
	return true
}

// finish takes the connection from the handler's read to its last step: the peer's answer,
// and TCP.
func (c *conn) finish() {
	c.nextStep(c.patience()) // for a handler that does not read
	c.interrupt(time.Unix(1, 0))
	c.settle() // when the handler's read has returned
	c.interrupt(time.Time{})
	if c.awaitAnswer() {
		c.answer.Store(answered)
	} else {
		c.answer.Store(gone)
	}
	c.conclude()
}

// The outcomes of waiting for the answer of the peer.
const (
	answered = iota + 1
	gone
)

// conclude closes TCP when the close frame is out and the peer has answered or gone. Both
// sides call it, because the answer may come before the write of the close frame returns.
func (c *conn) conclude() {
	if !c.said.Load() {
		return
	}
	switch c.answer.Load() {
	case answered:
		c.shut(true)
	case gone:
		c.cut()
	}
}

func (c *conn) interrupt(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		_ = c.Conn.SetReadDeadline(t)
	}
}

// awaitAnswer reads until the peer's close frame (RFC 6455 §7.1.1); false if TCP ends
// before. A peer that has closed its side may still read the rest of a frame.
func (c *conn) awaitAnswer() bool {
	c.passEarly()
	b := make([]byte, 512)
	for !c.received.closed {
		n, err := c.Conn.Read(b)
		c.received.pass(b[:n])
		if err != nil && !c.received.closed {
			return false
		}
	}
	return true
}

// cut closes TCP without another word. A connection whose peer is slow, or whose credential
// was revoked, is reset, so that the kernel keeps nothing for it.
func (c *conn) cut() { c.shut(false) }

func (c *conn) shut(answered bool) {
	cause := c.lastStep()
	if cause == nil {
		return
	}
	defer c.w.binding.Load().Leave(cause)
	if answered {
		_ = c.Conn.Close()
		return
	}
	if !c.said.Load() {
		defer c.w.cancel(cause)
	}
	raw := c.Conn
	if t, ok := raw.(interface{ NetConn() net.Conn }); ok { // TLS would wait to write its alert
		raw = t.NetConn()
	}
	if t, ok := raw.(interface{ SetLinger(sec int) error }); ok && (c.reset.Load() || !c.said.Load()) {
		_ = t.SetLinger(0)
	}
	_ = raw.Close()
}

// lastStep returns the cause, if TCP has not been closed before.
func (c *conn) lastStep() *Cause {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	if end := c.closing.Load(); end != nil {
		end.cut.Stop()
		return end.cause
	}
	return c.w.endedWith() // the response was cut while it became a connection
}

// closeFrame returns the close frame of a cause (RFC 6455 §5.5.1). As a frame of the peer it
// is masked, by a key of zeros (RFC 6455 §5.3).
func closeFrame(cause *Cause, masked bool) []byte {
	code, reason := cause.Code, cause.Reason
	if !sendable(code) || len(reason) > 123 {
		code, reason = 1011, ""
	}
	b := make([]byte, 0, 8+len(reason))
	if masked {
		b = append(b, 0x88, 0x80|byte(2+len(reason)), 0, 0, 0, 0)
	} else {
		b = append(b, 0x88, byte(2+len(reason)))
	}
	return append(binary.BigEndian.AppendUint16(b, code), reason...)
}

// sendable reports whether a server may send the code (RFC 6455 §7.4).
func sendable(code uint16) bool {
	return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006 && code != 1010 || code >= 3000 && code <= 4999
}
