package redial

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
)

// link is one WebSocket and its end: first the cause, then the close frame, then the end of
// TCP.
type link struct {
	lifetime
	coder   *websocket.Conn
	wire    *wire
	timeout time.Duration  // Timeouts.Close
	workers sync.WaitGroup // reader, heartbeat, sender, and the closing handshake
}

// begin starts the lifetime of the link. Every link performs the closing handshake.
func (l *link) begin(parent context.Context) {
	l.lifetime.begin(parent)
	l.workers.Add(1)
}

// end records the cause, if it is the first, and starts the closing handshake.
func (l *link) end(cause *ws.CloseError) {
	if l.record(cause) {
		go l.close(cause)
	}
}

// cut ends a link whose network has failed.
func (l *link) cut(err error) {
	l.end(&ws.CloseError{Code: websocket.StatusAbnormalClosure, Err: err})
	l.wire.cut()
}

// close sends the close frame, waits for the answer, and closes TCP, within Timeouts.Close
// (RFC 6455 §7.1.2).
func (l *link) close(cause *ws.CloseError) {
	defer l.workers.Done()
	timer := time.AfterFunc(l.timeout, l.wire.cut)
	defer timer.Stop()
	if cause.Validate() == nil && cause.Err != errPeer {
		_ = l.coder.Close(cause.Code, cause.Reason) // the reader sees the answer
	}
	l.wire.cut()
	_ = l.coder.CloseNow()
}

// answered reports whether the server has answered this side's close frame, which it does
// after it has read the messages before it. It is called when every worker has ended.
func (l *link) answered() bool {
	cause := l.cause.Load()
	return cause.Err != errPeer && !(cause.Err == io.EOF && cause != ErrRenewed) && l.wire.frames.closedWith() == uint16(cause.Code)
}
