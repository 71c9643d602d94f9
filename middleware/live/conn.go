package live

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// conn is the hijacked connection of a response. It passes bytes, and counts the frames in
// both directions if it becomes a WebSocket. Its fields stand so that it takes 128 B.
type conn struct {
	net.Conn                          // of net/http, or of a layer in front
	w         *response               // has the binding and the context
	closing   atomic.Pointer[closing] // nil: it has not begun to end
	carries   atomic.Uint32           // undecided, frames or otherContent
	closeSent atomic.Bool             // a close frame has been written
	answer    atomic.Uint32           // 0, answered or peerGone
	reset     atomic.Bool             // the bytes that wait in the kernel are not for the peer

	writing sync.Mutex // held while writing to the peer; guards the next three fields
	head    *head      // the response head under way; nil: it has been written
	sent    frameCount
	broken  bool // nothing can be written any more

	readDone    bool          // nothing more is read for the handler; guarded by reading
	wholeFrames bool          // then: the handler has read no part of a frame, and no close frame; guarded by reading
	closed      bool          // TCP is; guarded by mu
	reading     sync.Mutex    // held while reading from the peer for the handler; guards the next two fields
	early       *bytes.Reader // bytes that net/http has read; nil: none
	received    frameCount

	mu sync.Mutex // never held while waiting; orders deadlines and Close with the end
}

// closing is the end of a connection, from its first step on.
type closing struct {
	cause    *Cause
	until    int64       // the end of the grace, in the time of [Registry.Now]
	sendDone atomic.Bool // no frame is under way to the peer, and none will be
	notified atomic.Bool // Read returns the close frame
	dropped  int         // bytes that the handler has written since the end; guarded by conn.writing

	// Guarded by conn.mu.
	served    int         // bytes of the close frame that the handler has read
	told      bool        // the handler has read the end, or has closed
	delivered bool        // it has also called again since
	cut       *time.Timer // of TCP
	next      *time.Timer // of the call of conn.advance
}

// The contents of a connection.
const (
	undecided    uint32 = iota // the head of the response is under way
	frames                     // of a WebSocket
	otherContent               // of another protocol, which is cut at the end
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

func (c *conn) pass(p []byte) (n int, err error) {
	n, err = c.Conn.Write(p)
	if c.carries.Load() == frames {
		c.sent.pass(p[:n])
	}
	c.broken = c.broken || err != nil
	return n, err
}

// maxDropped is how much is dropped before a handler's writes fail, so that one which writes
// without a pause ends.
const maxDropped = 64 << 10

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

// failsWrites reports whether TCP is closed, and the handler knows of the end or has had the grace
// to.
func (c *conn) failsWrites(end *closing) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed && (end.told && c.w.contextErr.Load() != nil || c.w.layer.registry.Now() >= end.until)
}

// Close implements net.Conn. During the end it does not cut the grace short.
func (c *conn) Close() error {
	if !c.closesFirst() {
		return nil
	}
	defer c.w.binding.Load().Leave(completed)
	return c.Conn.Close()
}

// closesFirst reports whether neither the end nor another Close has come before.
func (c *conn) closesFirst() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if end := c.closing.Load(); end != nil {
		end.markDelivered()
		return false
	}
	first := !c.closed
	c.closed = true
	return first
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

// SetDeadline implements net.Conn. During the end it does nothing, like the other two.
func (c *conn) SetDeadline(t time.Time) error { return c.setDeadline(t, c.Conn.SetDeadline) }

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error { return c.setDeadline(t, c.Conn.SetReadDeadline) }

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, c.Conn.SetWriteDeadline) }

func (c *conn) setDeadline(t time.Time, set func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing.Load() != nil {
		return nil
	}
	return set(t)
}
