package live

import (
	"bytes"
	"errors"
)

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.write(p)
	if c.closing.Load() != nil {
		c.sendClose()
	}
	return n, err
}

func (c *conn) write(p []byte) (n int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.head != nil {
		return c.writeHead(p)
	}
	if end := c.closing.Load(); end != nil {
		return c.writeRest(end, p)
	}
	return c.pass(p)
}

// writeHead takes bytes of the head, and passes them when the head is whole or turns
// out not to be one. writing is held.
func (c *conn) writeHead(p []byte) (int, error) {
	h := c.head
	h.bytes = append(h.bytes, p...)
	end := bytes.Index(h.bytes, []byte("\r\n\r\n"))
	switch {
	case end >= 0:
	case len(h.bytes) > maxHead, bytes.Contains(h.bytes, []byte("\n\n")),
		!bytes.HasPrefix(h.bytes, []byte("HTTP/1.1 101")[:min(12, len(h.bytes))]):
		end = -1
	default:
		return len(p), nil
	}
	c.head = nil
	if end < 0 || !bytes.HasPrefix(h.bytes, []byte("HTTP/1.1 101 ")) || !toWebSocket(fieldOf(h.bytes[:end], "Upgrade")) {
		c.carries.Store(otherContent)
		if end := c.closing.Load(); end != nil {
			return 0, end.cause
		}
		return c.passAll(h.bytes, p)
	}
	c.carries.Store(frames)
	if c.closing.Load() != nil { // frames behind the head are not for the peer any more
		h.bytes = h.bytes[:end+4]
	}
	end += 2
	whole := append(h.withOuter(h.bytes[:end]), "\r\n"...)
	if n, err := c.Conn.Write(append(whole, h.bytes[end+2:]...)); err != nil {
		c.broken = true
		return min(n, len(p)), err
	}
	c.sent.pass(h.bytes[end+2:])
	return len(p), nil
}

func (c *conn) passAll(b, p []byte) (int, error) {
	if n, err := c.pass(b); err != nil {
		return min(n, len(p)), err
	}
	return len(p), nil
}

// writeRest writes the rest of the frame under way, and drops the bytes behind it, so that a
// handler which has not read the close frame yet, or answers it, does not fail.
func (c *conn) writeRest(end *closing, p []byte) (int, error) {
	if c.carries.Load() != frames || c.failsWrites(end) {
		return 0, end.cause
	}
	rest := c.sent.rest(p)
	if rest > 0 && !c.broken {
		if n, err := c.pass(p[:rest]); err != nil {
			return n, err
		}
	}
	if end.dropped += len(p) - rest; end.dropped > maxDropped {
		return rest, end.cause
	}
	return len(p), nil
}

// maxDropped is how much is dropped before a handler's writes fail, so that one which writes
// without a pause ends.
const maxDropped = 64 << 10

// failsWrites reports whether TCP is closed, and the handler knows of the end or has had the grace
// to.
func (c *conn) failsWrites(end *closing) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed && (end.told && c.w.contextErr.Load() != nil || c.w.layer.registry.Now() >= end.until)
}

// CloseWrite shuts down the writing side, as that of a TCP connection does. That of TLS
// waits, behind writes and for a peer that does not read, so mu is not held.
func (c *conn) CloseWrite() error {
	err := c.closeWrite()
	if c.closing.Load() != nil {
		c.sendClose()
	}
	return err
}

func (c *conn) closeWrite() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.closing.Load() != nil {
		return nil
	}
	x, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	c.broken = true
	return x.CloseWrite()
}
