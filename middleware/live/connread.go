package live

import (
	"errors"
	"io"
)

// Read implements net.Conn. After the end it returns a close frame as though the peer had
// sent it, so that the handler ends by its normal path; and then the cause.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.read(p)
	if n > 0 || err == nil || c.closing.Load() == nil {
		return n, err
	}
	return c.readEnd(p)
}

// errReadDone has Read return the end in place of bytes of the peer.
var errReadDone = errors.New("live: the connection has ended")

func (c *conn) read(p []byte) (n int, err error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	switch end := c.closing.Load(); {
	case c.readDone && end.notified.Load():
		return 0, errReadDone
	case end != nil:
	case c.early != nil:
		if n, _ = c.early.Read(p); c.early.Len() == 0 {
			c.early = nil
		}
	default:
		n, err = c.Conn.Read(p)
	}
	if end := c.closing.Load(); end != nil {
		c.endReadsLocked()
		c.received.pass(p[:n])
		c.discard(end, p, err)
		return 0, errReadDone
	}
	if c.carries.Load() != otherContent {
		c.received.pass(p[:n])
	}
	return n, err
}

// discard reads until the handler is notified: bytes that come after the end are not for it.
func (c *conn) discard(end *closing, p []byte, err error) {
	c.passEarly()
	for err == nil && len(p) > 0 && !end.notified.Load() {
		var n int
		n, err = c.Conn.Read(p)
		c.received.pass(p[:n])
	}
}

// passEarly counts what net/http has read and the handler has not.
func (c *conn) passEarly() {
	if c.early != nil {
		early, _ := io.ReadAll(c.early)
		c.received.pass(early)
		c.early = nil
	}
}

// endReads waits for the handler's Read and ends further ones. It reports whether the handler
// has read whole frames.
func (c *conn) endReads() (wholeFrames bool) {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.endReadsLocked()
	return c.wholeFrames
}

func (c *conn) endReadsLocked() {
	if !c.readDone {
		c.readDone = true
		c.wholeFrames = c.received.boundary() && !c.received.closed
	}
}

func (c *conn) readEnd(p []byte) (int, error) {
	end := c.closing.Load()
	wholeFrames := c.endReads()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !wholeFrames || c.carries.Load() != frames {
		end.markDelivered()
		return 0, end.cause
	}
	frame := closeFrame(end.cause, true)
	if end.served == len(frame) {
		end.markDelivered() // the handler, perhaps a proxy that copies, is done with the frame
		return 0, end.cause
	}
	n := copy(p, frame[end.served:]) // perhaps byte by byte
	if end.served += n; end.served == len(frame) {
		end.told = true
		end.next.Reset(c.frameTime()) // for a handler that neither reads again nor closes
	}
	return n, nil
}
