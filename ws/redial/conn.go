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
// serve has returned every method that can fails.
//
// As with [ws.Conn], serve must keep reading: one message waits for Read, and behind it
// the server's pings and its close frame.
type Conn struct {
	client      *Client
	id          string
	subprotocol string
	credential  Credential
	coder       *websocket.Conn
	wire        *wire

	ctx    context.Context // serve's
	cancel context.CancelCauseFunc

	reading  chan struct{} // held while reading
	messages chan message  // from the reader
	taken    chan struct{} // to the reader: the last message's memory is free
	holding  bool          // guarded by reading: a message is out
	waiting  atomic.Bool   // the reader waits for serve, and sees nothing of the server
	handed   atomic.Int64  // when it last did so, on the wire's clock

	layer    atomic.Pointer[Layer]
	layered  chan struct{} // closed when there is a layer
	retiring atomic.Bool   // its successor is open, and it says goodbye

	cause   atomic.Pointer[ws.CloseError] // the first one wins
	over    chan struct{}                 // closed when there is a cause
	opened  time.Time
	lived   time.Duration  // set before over is closed
	workers sync.WaitGroup // reader, heartbeat, closer, sender
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
	conn.ctx, conn.cancel = context.WithCancelCause(life)
	conn.workers.Add(1) // the closer, which every connection gets
	coder.SetReadLimit(int64(c.cfg.Limits.Message))
	conn.workers.Go(conn.readAll)
	conn.workers.Go(conn.heartbeat)
	return conn
}

// idOf reads the name that the server gives a connection, if it is one: a short token.
func idOf(h http.Header) string {
	id := h.Get("Securews-Connection")
	if len(id) > 128 || !opening.IsToken(id) {
		return ""
	}
	return id
}

// ID names the connection in the server's logs, from the Securews-Connection header of
// its 101; other servers give none.
func (c *Conn) ID() string { return c.id }

// Subprotocol returns what the server has selected.
func (c *Conn) Subprotocol() string { return c.subprotocol }

// Close ends the connection with the code and reason, without waiting for the server's
// answer; an earlier cause stays. What follows for Run, [ws.CloseError.Retryable] and
// Config.RetryCodes say.
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
		<-c.ctx.Done() // at once: who learns of the end finds the context ended
		return cause
	}
	return nil
}

// end makes cause the connection's, if it is the first, and has it closed.
func (c *Conn) end(cause *ws.CloseError) {
	if !c.cause.CompareAndSwap(nil, cause) {
		return
	}
	c.lived = time.Since(c.opened)
	close(c.over)
	c.cancel(cause)
	go c.shut(cause)
}

// shut says what there is to say, waits for the answer, and closes TCP: all of it
// within Timeouts.Close.
func (c *Conn) shut(cause *ws.CloseError) {
	defer c.workers.Done()
	timer := time.AfterFunc(c.client.cfg.Timeouts.Close, c.wire.cut)
	defer timer.Stop()
	if cause.Validate() == nil && cause.Err != errPeer {
		_ = c.coder.Close(cause.Code, cause.Reason) // the reader sees the answer
	}
	c.wire.cut()
	_ = c.coder.CloseNow()
}

// discard closes a connection that nobody will serve.
func (c *Conn) discard() {
	if c == nil {
		return
	}
	c.end(ErrRenewed)
	c.workers.Wait()
}

// lost ends a connection whose network is gone.
func (c *Conn) lost(err error) {
	c.end(&ws.CloseError{Code: websocket.StatusAbnormalClosure, Err: err})
	c.wire.cut()
}
