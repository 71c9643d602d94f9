package ws

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// ending is how a connection ends: the first cause wins, one close frame is written, the peer has
// some time to answer it, and TCP is cut.
type ending struct {
	conn  net.Conn // nil before the upgrade
	cause atomic.Pointer[CloseError]
	at    atomic.Int64 // of the registry's clock; set before the cause

	attached  atomic.Bool // conn is there
	closeSent atomic.Bool
	reset     atomic.Bool // the bytes that wait in the kernel are not for the peer
	explains  bool        // the connection is completed only to report a refusal; never served

	awaiting bool       // guarded by deadline
	deadline sync.Mutex // orders SetReadDeadline between interrupt and await
}

// decide makes cause the connection's, if it is the first.
func (e *ending) decide(cause *CloseError, now int64) (first bool) {
	e.at.CompareAndSwap(0, now)
	return e.cause.CompareAndSwap(nil, cause)
}

// overrule replaces a cause that still lets the queue out by the loss of the credential, unless
// the close frame is out: nothing that the kernel holds is for this peer, and nothing more of the
// queue, if it returns true.
func (e *ending) overrule(cause *CloseError) bool {
	e.reset.Store(true)
	old := e.cause.Load()
	return old != nil && old.flushes() && !e.closeSent.Load() && e.cause.CompareAndSwap(old, cause)
}

// final reports whether the peer must get nothing of what is still on its way.
func (e *ending) final(cause *CloseError) bool { return e.reset.Load() || cause.final() }

// stops returns the cause if no message may be written any more: nothing follows a close frame
// (RFC 6455 §5.5.1), or the loss of the credential.
func (e *ending) stops() *CloseError {
	if cause := e.cause.Load(); cause != nil && (e.closeSent.Load() || !cause.flushes()) {
		return cause
	}
	return nil
}

// abnormal reports whether the network is gone.
func (e *ending) abnormal() bool { return e.cause.Load().Code == websocket.StatusAbnormalClosure }

// cut closes TCP without a further frame; on TLS without a close_notify, which could
// wait for a peer that does not read. A slow peer, and one whose end is final, is
// reset, so that the kernel keeps nothing for it.
func (e *ending) cut() {
	raw := e.conn
	if t, ok := raw.(interface{ NetConn() net.Conn }); ok {
		raw = t.NetConn()
	}
	if cause := e.cause.Load(); cause != nil && (cause.Reason == ErrSlow.Reason || e.final(cause)) {
		if t, ok := raw.(interface{ SetLinger(sec int) error }); ok {
			_ = t.SetLinger(0)
		}
	}
	_ = raw.Close()
}

// interrupt makes a read that waits return, so that Serve learns of the cause.
func (e *ending) interrupt() {
	e.deadline.Lock()
	defer e.deadline.Unlock()
	if !e.awaiting {
		_ = e.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// await bounds the reads in which the peer's close frame may come.
func (e *ending) await(d time.Duration) {
	e.deadline.Lock()
	defer e.deadline.Unlock()
	e.awaiting = true
	_ = e.conn.SetReadDeadline(time.Now().Add(d))
}
