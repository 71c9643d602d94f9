package redial

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/opening"
	"github.com/securews/securews/ws"
)

// Conn is one connection, for the time of its serve call. Read, ReadJSON and PushOnly
// belong to one goroutine at a time; everything else is safe for concurrent use. After
// serve has returned, every method that returns an error fails.
//
// As with [ws.Conn], serve must keep reading: the server's pings and its close frame are
// processed only after the messages before them have been read.
type Conn struct {
	client      *Client
	id          string
	subprotocol string
	credential  Credential
	coder       *websocket.Conn
	wire        *wire
	outgoing    int // bytes of the largest message that the server accepts
	pace        *pace
	unconfirmed *unconfirmed

	ctx    context.Context // serve's
	cancel context.CancelCauseFunc

	reading  chan struct{} // held while reading
	messages chan message  // from the reader
	taken    chan struct{} // to the reader: the memory of the last message is free
	holding  bool          // guarded by reading: serve has a message
	waiting  atomic.Bool   // the reader waits for serve, and does not read from the server
	handed   atomic.Int64  // when it last did so, on the wire's clock

	layer    atomic.Pointer[Layer]
	layered  chan struct{} // closed when there is a layer
	replaced atomic.Bool   // its successor is open, and it is being closed

	cause   atomic.Pointer[ws.CloseError] // the first one wins
	over    chan struct{}                 // closed when there is a cause
	opened  time.Time
	lived   time.Duration  // set before over is closed
	workers sync.WaitGroup // reader, heartbeat, closing handshake, sender
}

type message struct {
	typ     websocket.MessageType
	payload []byte
}

// newConn starts a connection's reader and heartbeat.
func (c *Client) newConn(life context.Context, coder *websocket.Conn, w *wire, h http.Header, cred Credential) *Conn {
	conn := &Conn{
		client: c, id: idOf(h), subprotocol: coder.Subprotocol(), credential: cred,
		coder: coder, wire: w,
		reading: make(chan struct{}, 1), messages: make(chan message), taken: make(chan struct{}),
		layered: make(chan struct{}), over: make(chan struct{}), opened: time.Now(),
	}
	limits := limitsOf(h)
	conn.pace, conn.outgoing = newPace(limits), c.cfg.Limits.Outgoing
	if limits.message > 0 {
		conn.outgoing = limits.message
	}
	c.outgoing.Store(int64(conn.outgoing))
	conn.unconfirmed = newUnconfirmed(c.cfg.Limits)
	conn.ctx, conn.cancel = context.WithCancelCause(life)
	conn.workers.Add(1) // the closing handshake, which every connection performs
	coder.SetReadLimit(int64(c.cfg.Limits.Message))
	conn.workers.Go(conn.readAll)
	conn.workers.Go(conn.heartbeat)
	return conn
}

// idOf returns the connection's ID in the server's logs, or "" if it is not a short token.
func idOf(h http.Header) string {
	id := h.Get("Securews-Connection")
	if len(id) > 128 || !opening.IsToken(id) {
		return ""
	}
	return id
}

// ID returns the ID of the connection in the server's logs, from the Securews-Connection
// header of its 101; "" with other servers.
func (c *Conn) ID() string { return c.id }

// Subprotocol returns the subprotocol that the server has selected.
func (c *Conn) Subprotocol() string { return c.subprotocol }

// Close ends the connection with the code and reason, without waiting for the server's
// answer; an earlier cause stays. [ws.CloseError.Retryable] and Config.RetryCodes decide
// whether Run reconnects.
func (c *Conn) Close(code websocket.StatusCode, reason string) error {
	cause := &ws.CloseError{Code: code, Reason: reason}
	if err := cause.Validate(); err != nil {
		return err
	}
	c.end(cause)
	return nil
}

// ended returns the cause, nil while the connection lives.
func (c *Conn) ended() error {
	if cause := c.cause.Load(); cause != nil {
		<-c.ctx.Done() // soon: a caller that learns of the end finds the context ended
		return cause
	}
	return nil
}

// end records the cause, if it is the first, and starts the closing handshake.
func (c *Conn) end(cause *ws.CloseError) {
	if !c.cause.CompareAndSwap(nil, cause) {
		return
	}
	c.lived = time.Since(c.opened)
	close(c.over)
	c.cancel(cause)
	go c.closingHandshake(cause)
}

// closingHandshake sends the close frame, waits for the answer, and closes TCP, within
// Timeouts.Close (RFC 6455 §7.1.2).
func (c *Conn) closingHandshake(cause *ws.CloseError) {
	defer c.workers.Done()
	timer := time.AfterFunc(c.client.cfg.Timeouts.Close, c.wire.cut)
	defer timer.Stop()
	if cause.Validate() == nil && cause.Err != errPeer {
		_ = c.coder.Close(cause.Code, cause.Reason) // the reader sees the answer
	}
	c.wire.cut()
	_ = c.coder.CloseNow()
}

// endUnused ends a connection that will not be served.
func (c *Conn) endUnused() {
	if c == nil {
		return
	}
	c.end(ErrRenewed)
	c.workers.Wait()
}

// cut ends a connection whose network has failed.
func (c *Conn) cut(err error) {
	c.end(&ws.CloseError{Code: websocket.StatusAbnormalClosure, Err: err})
	c.wire.cut()
}
