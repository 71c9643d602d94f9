package live

import "errors"

// Read implements net.Conn. After the end it returns a close frame as though the peer had
// sent it, so that the handler ends by its normal path; and then the cause.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.read(p)
	if n > 0 || err == nil || c.closing.Load() == nil {
		return n, err
	}
	return c.readEnd(p)
}

var errSettled = errors.New("live: the connection has ended")

func (c *conn) read(p []byte) (n int, err error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	switch {
	case c.settled && c.told.Load():
		return 0, errSettled
	case c.closing.Load() != nil:
	case len(c.early) > 0:
		n = copy(p, c.early)
		c.early = c.early[n:]
	default:
		n, err = c.Conn.Read(p)
	}
	if c.closing.Load() != nil {
		c.settleNow()
		c.received.pass(p[:n])
		c.discard(p, err)
		return 0, errSettled
	}
	if c.carries.Load() != otherContent {
		c.received.pass(p[:n])
	}
	return n, err
}

// discard reads until the handler is told of the end: bytes that come after the end are not
// for it.
func (c *conn) discard(p []byte, err error) {
	c.received.pass(c.early)
	c.early = nil
	for err == nil && len(p) > 0 && !c.told.Load() {
		var n int
		n, err = c.Conn.Read(p)
		c.received.pass(p[:n])
	}
}

// settle says whether the handler has read whole frames, now that it reads no more.
func (c *conn) settle() (clean bool) {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.settleNow()
	return c.clean
}

func (c *conn) settleNow() {
	if !c.settled {
		c.settled = true
		c.clean = c.received.boundary() && !c.received.closed
	}
}

func (c *conn) readEnd(p []byte) (int, error) {
	cause := c.closing.Load()
	clean := c.settle()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !clean || c.carries.Load() != frames {
		c.hand()
		return 0, cause
	}
	frame := closeFrame(cause, true)
	if c.served == len(frame) {
		return 0, cause
	}
	n := copy(p, frame[c.served:]) // perhaps byte by byte
	if c.served += n; c.served == len(frame) {
		c.hand()
	}
	return n, nil
}
