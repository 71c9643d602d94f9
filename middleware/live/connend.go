package live

import (
	"net"
	"time"
)

// end begins the end. It does not wait.
func (c *conn) end(cause *Cause) {
	if final(cause) {
		c.reset.Store(true)
	}
	if c.begin(cause) {
		go c.sendClose()
	}
}

// begin reports whether this is the first end of a connection that is open.
func (c *conn) begin(cause *Cause) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.closing.Load() != nil {
		return false
	}
	end := &closing{cause: cause, until: c.w.layer.registry.Now() + int64(c.grace())}
	c.closing.Store(end)
	end.cut = time.AfterFunc(c.grace(), c.cut)
	end.next = time.AfterFunc(c.handlerTime(), c.advance)
	_ = c.Conn.SetWriteDeadline(time.Time{})
	return true
}

// advance notifies the handler or, if that was done before, ends its context. The context does
// not end while a frame is under way: some libraries would leave it incomplete.
func (c *conn) advance() {
	if end := c.closing.Load(); !c.notify() && end.sendDone.Load() {
		c.w.cancel(end.cause)
	}
}

// sendClose writes the close frame, if a frame can begin, and then notifies the handler. If
// something else is being written, that writer calls it afterwards.
func (c *conn) sendClose() {
	if !c.writing.TryLock() {
		return
	}
	end, carries := c.closing.Load(), c.carries.Load()
	switch {
	case carries != frames, c.broken, c.closeSent.Load(), !c.sent.boundary():
	case c.sent.closed:
		c.closeSent.Store(true)
	default:
		_, err := c.pass(closeFrame(end.cause, false))
		if c.closeSent.Store(err == nil); err == nil {
			c.w.binding.Load().Closed(end.cause)
		}
	}
	done := carries != frames || c.broken || c.closeSent.Load()
	c.writing.Unlock()
	if carries == otherContent {
		c.cut()
		c.w.cancel(end.cause)
		return
	}
	if done && end.sendDone.CompareAndSwap(false, true) && !c.notify() {
		c.advanceAfter(contextDelay)
	}
	c.conclude()
}

// advanceAfter has advance called after d, or sooner if the handler has read the end.
func (c *conn) advanceAfter(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := c.closing.Load()
	switch {
	case end.delivered:
		d = contextDelay
	case end.told:
		d = min(d, c.frameTime())
	}
	end.next.Reset(d)
}

// notify has Read return the close frame to the handler; false if it does already.
func (c *conn) notify() bool {
	if !c.closing.Load().notified.CompareAndSwap(false, true) {
		return false
	}
	go c.finish()
	return true
}

// aLongTimeAgo is a deadline that has passed.
var aLongTimeAgo = time.Unix(1, 0)

// finish ends the reads of the handler, and waits for the answer of the peer.
func (c *conn) finish() {
	c.advanceAfter(c.handlerTime()) // for a handler that does not read
	c.setInnerReadDeadline(aLongTimeAgo)
	c.endReads()
	c.setInnerReadDeadline(time.Time{})
	if c.awaitAnswer() {
		c.answer.Store(answered)
	} else {
		c.answer.Store(peerGone)
	}
	c.conclude()
}

// The results of waiting for the answer of the peer.
const (
	answered = iota + 1
	peerGone
)

// conclude closes TCP if the close frame has been written and the peer has answered or gone.
// It is called after each, because the answer may come before the write of the close frame
// returns.
func (c *conn) conclude() {
	if !c.closeSent.Load() {
		return
	}
	switch c.answer.Load() {
	case answered:
		c.closeTCP(true)
	case peerGone:
		c.cut()
	}
}

func (c *conn) setInnerReadDeadline(t time.Time) {
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

// cut closes TCP without waiting. A connection whose peer is slow, or whose end is
// final, is reset, so that the kernel keeps nothing for it.
func (c *conn) cut() { c.closeTCP(false) }

func (c *conn) closeTCP(answered bool) {
	cause := c.markClosed()
	if cause == nil {
		return
	}
	defer c.w.binding.Load().Leave(cause)
	if answered {
		_ = c.Conn.Close()
		return
	}
	if !c.closeSent.Load() {
		defer c.w.cancel(cause)
	}
	raw := belowTLS(c.Conn) // TLS would wait to write its alert
	if c.reset.Load() || !c.closeSent.Load() {
		resetOnClose(raw)
	}
	_ = raw.Close()
}

// belowTLS returns the connection that carries c, or c.
func belowTLS(c net.Conn) net.Conn {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		return t.NetConn()
	}
	return c
}

// resetOnClose has a Close reset the connection, so that the kernel keeps nothing for the peer.
func resetOnClose(c net.Conn) {
	if t, ok := c.(interface{ SetLinger(sec int) error }); ok {
		_ = t.SetLinger(0)
	}
}

// markClosed returns the cause; nil if TCP has been closed before.
func (c *conn) markClosed() *Cause {
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
