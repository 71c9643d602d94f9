package ws

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
)

// Conn is one connection, for the time of its Serve call. Read, ReadJSON and
// PushOnly belong to one goroutine at a time; everything else is safe for
// concurrent use. After Serve has returned reads and writes fail.
type Conn struct {
	h           *Handler
	binding     live.Binding // to the principal, in Config.Live
	origin      string
	subprotocol string
	value       any // of Authorize
	detached    contextkey.Detached
	ctx         context.Context // over detached
	cancel      context.CancelCauseFunc

	guard     guard           // around the hijacked connection
	coder     *websocket.Conn // reads messages, through the guard
	buffered  bufio.Reader    // coder's, between guard and coder
	discarded bufio.Writer    // coder's; the guard drops its bytes
	pulse     string          // a ping of the page's client, which has no other; "" for other clients
	explains  bool            // it is completed only to report a refusal; never served
	finishing bool            // guarded by deadlines
	attached  atomic.Bool     // guard, coder and buffered are there
	closeSent atomic.Bool
	reset     atomic.Bool  // the bytes that wait in the kernel are not for the peer
	pingDue   atomic.Bool  // to be written by the next writer
	pingsOwed atomic.Int32 // pings that no pong has answered yet

	reading  sync.Mutex    // held by the reader; finish alone waits for it, having made the read return
	writing  chan struct{} // held while writing a frame
	incoming *[]byte       // what Read returned last, from the pool
	messages bucket        // belongs to the reader
	queue    queue
	groups   groups

	// How it ends: the first cause wins. endedAt is set before the cause.
	cause     atomic.Pointer[CloseError]
	endedAt   atomic.Int64
	deadlines sync.Mutex // orders SetReadDeadline between interrupt and finish

	// Times of the registry's clock, which its wheel reads.
	lastByte     atomic.Int64
	lastMessage  atomic.Int64
	readSince    atomic.Int64 // 0: Serve does not read
	messageSince atomic.Int64 // 0: between two messages
	writeSince   atomic.Int64 // since the last progress of a write; 0: no write under way
	flushSince   atomic.Int64 // the same of the queue that is left when Serve has returned; 0: it has not
	pinged       atomic.Int64 // when the ping was written; 0: no answer owed

	traffic traffic
}

// ID returns the id of the connection in logs and in the Securews-Connection header of the
// 101, and in live.Registry.List: the one that the credential reserved, as a ticket does, else
// that of the request in the access log, else 128 random bits. It is not secret and grants
// nothing.
func (c *Conn) ID() string { return c.binding.ID() }

// Principal returns the principal that opened the connection.
func (c *Conn) Principal() middleware.Principal { return c.binding.Principal() }

// Value returns the value that Config.Authorize returned; nil if there is none.
func (c *Conn) Value() any { return c.value }

// Origin returns the page's origin as the handshake gave it, which Config.Origins has
// let through; "" if there was none.
func (c *Conn) Origin() string { return c.origin }

// SealedPrefix begins the subprotocols of sealed connections (package seal). Messages are
// binary there: one that comes as text is the sealing layer's to refuse, in the one way it
// refuses everything, and is not checked for UTF-8 before.
const SealedPrefix = "hpke1."

// Subprotocol returns the negotiated subprotocol, "" if the client offered none.
func (c *Conn) Subprotocol() string { return c.subprotocol }

// Close ends the connection with the code and reason, without waiting for the
// peer's answer; an earlier cause stays. A server may send 1000-1003, 1007-1014 and
// 3000-4999, with a reason of up to 123 bytes (RFC 6455 §5.5, §7.4).
func (c *Conn) Close(code websocket.StatusCode, reason string) error {
	cause := &CloseError{Code: code, Reason: reason}
	if err := cause.Validate(); err != nil {
		return err
	}
	c.end(cause)
	c.sendClose()
	return nil
}

// ended returns the cause, nil while the connection lives.
func (c *Conn) ended() error {
	if cause := c.cause.Load(); cause != nil {
		<-c.ctx.Done() // at once: a caller that learns of the end finds the context ended
		return cause
	}
	return nil
}

// end makes cause the connection's, if it is the first. The caller sees to the
// close frame: by sendClose, or through the closers if it must not wait.
func (c *Conn) end(cause *CloseError) (first bool) {
	c.endedAt.CompareAndSwap(0, c.h.now())
	if !c.cause.CompareAndSwap(nil, cause) {
		return false
	}
	c.cancel(cause)
	c.leaveGroups()
	c.binding.Ending()
	if !cause.flushes() {
		c.queue.drop()
	}
	if c.attached.Load() {
		c.binding.Hasten(c.cutAt())
	}
	return true
}

// overrule replaces a cause that still lets the queue out by the loss of the credential: nothing
// more of the queue, and of what the kernel holds, is for this peer.
func (c *Conn) overrule(cause *CloseError) {
	c.reset.Store(true)
	old := c.cause.Load()
	if old == nil || !old.flushes() || c.closeSent.Load() || !c.cause.CompareAndSwap(old, cause) {
		return
	}
	c.queue.drop()
	if c.attached.Load() {
		c.h.closers.add(c)
	}
}

// final reports whether nothing that is on its way is for the peer any more.
func (c *Conn) final(cause *CloseError) bool { return c.reset.Load() || cause.final() }

// endSoon is end for callers that must not wait: the registry, and Send.
func (c *Conn) endSoon(cause *CloseError) {
	if c.end(cause) && c.attached.Load() {
		c.h.closers.add(c)
	}
}

func (c *Conn) cutAt() int64 { return c.endedAt.Load() + int64(c.h.cfg.Timeouts.Close) }

// endAbnormally ends a connection whose network is gone. A stream that stops without a close
// frame is not a normal end.
func (c *Conn) endAbnormally(err error) {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	c.end(&CloseError{Code: websocket.StatusAbnormalClosure, Err: err})
}

// cut closes TCP without another word; on TLS without a close_notify, which could
// wait for a peer that does not read. A slow peer, and one whose end is final, is
// reset, so that the kernel keeps nothing for it.
func (c *Conn) cut() {
	raw := c.guard.Conn
	if t, ok := raw.(interface{ NetConn() net.Conn }); ok {
		raw = t.NetConn()
	}
	if cause := c.cause.Load(); cause != nil && (cause.Reason == ErrSlow.Reason || c.final(cause)) {
		if t, ok := raw.(interface{ SetLinger(sec int) error }); ok {
			_ = t.SetLinger(0)
		}
	}
	_ = raw.Close()
}

// interrupt makes a read that waits return, so that Serve learns of the cause.
func (c *Conn) interrupt() {
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	if !c.finishing {
		_ = c.guard.Conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// finish runs after Serve: close frame, the peer's answer, TCP, the books.
func (c *Conn) finish(cause *CloseError) {
	c.leaveGroups()
	if cause.flushes() && c.ended() == nil {
		c.flushSince.Store(c.h.now())
		c.queue.wait()
	}
	c.end(cause)
	c.interrupt() // a reader that Serve left behind
	c.reading.Lock()
	c.deadlines.Lock()
	c.finishing = true
	_ = c.guard.Conn.SetReadDeadline(time.Now().Add(c.h.cfg.Timeouts.Close))
	c.deadlines.Unlock()
	if c.cause.Load().Code == websocket.StatusAbnormalClosure {
		c.cut() // and a writer with it
	}
	c.queue.wait()
	c.writing <- struct{}{} // a writer is cut by the wheel in time
	c.writeClose()
	<-c.writing
	final := c.cause.Load()
	if final.Code != websocket.StatusAbnormalClosure && c.guard.awaitClose() {
		_ = c.guard.Conn.Close()
	} else {
		c.cut()
	}
	_ = c.coder.CloseNow() // takes its finalizer off
	c.incoming = nil       // not to the pool: what Serve left behind may still hold it
	c.logEnd(final)
	c.leave(final)
}

// leave takes the connection off the registry's books.
func (c *Conn) leave(final *CloseError) {
	c.report(true)
	if !c.h.cfg.Live.Watched() {
		c.binding.Leave(nil)
		return
	}
	c.binding.Leave(&live.Cause{Code: uint16(final.Code), Reason: final.Reason, Err: final.Err, Peer: final.fromPeer()})
}
