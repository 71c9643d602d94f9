package live

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/securews/securews/internal/opening"
)

// conn is a hijacked connection that a response was taken over by. It passes bytes, and
// counts the frames in both directions if it becomes a WebSocket.
type conn struct {
	net.Conn           // of net/http, or of a layer in front
	w        *response // whose place it keeps
	carries  atomic.Uint32

	writing sync.Mutex // held while writing to the peer
	head    *head      // the response head under way; nil: it is out. Guarded by writing, as the next fields are
	sent    frameCount
	broken  bool // a write has failed
	dropped int  // bytes of the handler since the end

	reading  sync.Mutex // held while reading from the peer for the handler
	early    []byte     // what net/http had read; guarded by reading, as the next fields are
	received frameCount
	settled  bool // nothing more is read for the handler
	clean    bool // then: if it carries frames, the handler has read whole ones

	closing atomic.Pointer[Cause]
	said    atomic.Bool // the close frame is out
	answer  atomic.Uint32
	reset   atomic.Bool // nothing that waits in the kernel is for the peer

	free   atomic.Bool // no frame is under way, and none will be
	told   atomic.Bool // the handler reads the close frame, if it reads
	mu     sync.Mutex  // never held while waiting; orders deadlines and Close with the end
	served int         // bytes of the close frame that the handler has read
	handed bool        // the handler has read it, or has closed
	closed bool        // TCP is
	timers [2]*time.Timer
}

// The contents of a connection.
const (
	undecided    uint32 = iota // the head of the response is under way
	frames                     // of a WebSocket
	otherContent               // of another protocol, which is cut at the end
)

func (w *response) hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.life.Lock()
	yielded := w.yielded
	w.life.Unlock()
	control := http.NewResponseController(w.ResponseWriter)
	if yielded {
		conn, rw, err := control.Hijack()
		if err == nil {
			w.life.Lock()
			w.gone = true
			w.life.Unlock()
		}
		return conn, rw, err
	}
	if err := w.enter(); err != nil && !w.out.Load() {
		w.refusing.Store(true)
		return nil, nil, err
	}
	inner, rw, err := control.Hijack()
	if err != nil {
		return nil, nil, err
	}
	c := &conn{Conn: inner, w: w}
	c.expect()
	if early, _ := rw.Reader.Peek(rw.Reader.Buffered()); len(early) > 0 {
		c.early = bytes.Clone(early)
	}
	rw.Reader.Reset(c)
	rw.Writer.Reset(c)
	w.attach(c)
	return c, rw, nil
}

// expect decides about the content of the connection. Only a handshake leads to a WebSocket, if its
// status is 101 (RFC 6455 §4.2.2) and that is not to another protocol (RFC 9110 §7.8).
func (c *conn) expect() {
	w := c.w
	w.writing.Lock()
	defer w.writing.Unlock()
	switch {
	case w.webSocket:
		c.carries.Store(frames)
	case !w.out.Load() && opening.IsHandshake(w.request):
		c.head = &head{outer: w.ResponseWriter.Header()}
	default:
		c.carries.Store(otherContent)
	}
}

// attach hands the place of the response to the connection.
func (w *response) attach(c *conn) {
	w.before.Store(nil) // nothing can be refused any more
	w.life.Lock()
	w.conn = c
	if w.timer != nil {
		w.timer.Stop()
	}
	o := w.ended.Load()
	w.life.Unlock()
	switch {
	case o == nil:
	case o.cause == nil:
		c.end(Later.Wrap(o.err))
	default:
		c.end(o.cause)
	}
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.write(p)
	if c.closing.Load() != nil {
		c.sayClose()
	}
	return n, err
}

func (c *conn) write(p []byte) (n int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.head != nil {
		return c.writeHead(p)
	}
	if c.closing.Load() != nil {
		return c.writeRest(p)
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
// handler which answers the close frame does not fail.
func (c *conn) writeRest(p []byte) (int, error) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed || c.carries.Load() != frames {
		return 0, c.closing.Load()
	}
	rest := c.sent.rest(p)
	if rest > 0 && !c.broken {
		if n, err := c.pass(p[:rest]); err != nil {
			return n, err
		}
	}
	if c.dropped += len(p) - rest; c.dropped > maxDropped {
		return rest, c.closing.Load()
	}
	return len(p), nil
}

// Close implements net.Conn. During the end it does not cut the grace short.
func (c *conn) Close() error {
	c.mu.Lock()
	if c.closing.Load() != nil || c.closed {
		c.hand()
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	defer c.w.binding.Leave(completed)
	return c.Conn.Close()
}

// CloseWrite shuts down the writing side, as that of a TCP connection does. That of TLS
// waits, behind writes and for a peer that does not read, so mu is not held.
func (c *conn) CloseWrite() error {
	err := c.closeWrite()
	if c.closing.Load() != nil {
		c.sayClose()
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

// SetDeadline implements net.Conn. During the end it does nothing, as the other two.
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
