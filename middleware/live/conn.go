package live

import (
	"bytes"
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

// contextDelay is the time between the handler's next call after the close frame and the end of
// its context: some libraries would report the context in place of the frame.
const contextDelay = 50 * time.Millisecond

func (c *conn) grace() time.Duration { return c.w.layer.registry.cfg.Timeouts.Grace }

// handlerTime is how long the handler has to complete its frame before it is notified, and
// then to read before its context ends.
func (c *conn) handlerTime() time.Duration { return max(c.grace()/4, contextDelay) }

// frameTime is how long it has then to work on the close frame: a proxy passes it on.
func (c *conn) frameTime() time.Duration { return min(c.handlerTime(), 5*contextDelay) }

// markDelivered plans the end of the context of a handler that is done with the end. conn.mu is
// held.
func (e *closing) markDelivered() {
	e.told = true
	if !e.delivered {
		e.delivered = true
		e.next.Reset(contextDelay)
	}
}

func (c *conn) pass(p []byte) (n int, err error) {
	n, err = c.Conn.Write(p)
	if c.carries.Load() == frames {
		c.sent.pass(p[:n])
	}
	c.broken = c.broken || err != nil
	return n, err
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
