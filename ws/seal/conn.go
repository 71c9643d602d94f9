package seal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/outqueue"
	"github.com/securews/securews/ws"
)

// Conn is either end of a connection whose messages are sealed. Read and ReadJSON belong to
// one goroutine at a time; everything else is safe for concurrent use. Nothing else may
// read or write the connection underneath.
type Conn struct {
	m        Messages
	id       string
	in       *direction // nil: plain text
	out      outbox
	readErr  error // set when reading has ended
	notified bool  // the peer has sent its close record
	closed   atomic.Bool
	route    *route // of Server.Seal, or nil

	finishing atomic.Bool // CloseWrite was called
	finished  chan struct{}
	finishErr error // set before finished is closed
}

// closeWriteGrace bounds the time in which the records before the last are sent.
const closeWriteGrace = 5 * time.Second

func newConn(m Messages, queueBytes, queueMessages int) *Conn {
	return &Conn{m: m, finished: make(chan struct{}), out: outbox{m: m, most: outqueue.Load{Messages: queueMessages, Bytes: queueBytes}}}
}

// Sealed reports whether messages are encrypted: always, unless DangerouslyOptional admitted
// the connection in plain text.
func (c *Conn) Sealed() bool { return c.in != nil }

// ID returns the server's id of the connection, see [ws.Conn.ID]. The client receives it
// sealed; in plain text it is "" there.
func (c *Conn) ID() string { return c.id }

// Subprotocol returns the negotiated subprotocol, with the prefix of a sealed one.
func (c *Conn) Subprotocol() string { return c.m.Subprotocol() }

// Read returns the next message. Text is valid UTF-8. p belongs to the caller until
// the next Read.
//
// The error matches io.EOF in errors.Is if the peer has announced that no message follows.
// If the connection ended without that, messages may have been cut off, and the error
// matches io.ErrUnexpectedEOF. In both cases errors.As finds a [ws.CloseError] with the
// code of the close frame, which, unlike the messages, a proxy may have forged. If anything
// was changed in transit, the error is [ErrDecrypt]. After a Close of this end it is
// [ws.ErrClosed], unless the peer had announced its end. If Validate of a route that [Server.Seal]
// returned refuses a message, it is the cause by which that ends the connection; Read returns it when
// the queue has been sent, if that is due. A connection in plain text has the errors of the connection
// underneath.
func (c *Conn) Read() (typ websocket.MessageType, p []byte, err error) {
	typ, p, err = c.read()
	if err != nil || c.route == nil {
		return typ, p, err
	}
	if err := c.route.check(typ, p); err != nil {
		return 0, nil, c.invalid(err)
	}
	if c.route.ctx.Err() != nil {
		return c.read() // a message after the end is not returned
	}
	return typ, p, nil
}

func (c *Conn) read() (typ websocket.MessageType, p []byte, err error) {
	if c.in == nil && c.readErr == nil {
		return c.m.Read()
	}
	for c.readErr == nil {
		kind, p, err := c.next()
		switch {
		case err != nil:
			c.readErr = err
		case kind == recordText && utf8.Valid(p):
			return websocket.MessageText, p, nil
		case kind == recordBinary:
			return websocket.MessageBinary, p, nil
		case kind == recordUpdate && len(p) == 0:
			c.in.update()
		case kind == recordClose && len(p) == 0:
			c.notified = true
			c.in.erase()
		default:
			c.readErr = c.fail()
		}
	}
	return 0, nil, c.readErr
}

// next opens the next record, of any type.
func (c *Conn) next() (recordType, []byte, error) {
	typ, p, err := c.m.Read()
	if err != nil {
		return 0, nil, c.ended(err)
	}
	if typ == websocket.MessageBinary && !c.notified {
		if kind, p, ok := c.in.open(p); ok {
			return kind, p, nil
		}
	}
	return 0, nil, c.fail()
}

// ended returns the error of Read for an error of the connection underneath.
func (c *Conn) ended(err error) error {
	c.in.erase()
	var end error
	switch {
	case c.notified:
		end = ending(err, io.EOF)
	case c.closed.Load():
		return ws.ErrClosed // by ourselves
	default:
		end = unannounced{ending(err, io.ErrUnexpectedEOF)}
	}
	c.out.stop(end)
	return end
}

// fail ends the connection with the one error.
func (c *Conn) fail() error {
	c.in.erase()
	c.out.stop(ErrDecrypt)
	return refused(c.m)
}

var (
	errMessageType = errors.New("seal: write: the type is neither text nor binary")
	errTextNotUTF8 = errors.New("seal: write: text that is not UTF-8")
)

// kindOf checks a message and returns its record type.
func kindOf(typ websocket.MessageType, p []byte) (recordType, error) {
	switch {
	case typ == websocket.MessageBinary:
		return recordBinary, nil
	case typ != websocket.MessageText:
		return 0, errMessageType
	case !utf8.Valid(p):
		return 0, errTextNotUTF8
	}
	return recordText, nil
}

func plainType(kind recordType) websocket.MessageType {
	if kind == recordText {
		return websocket.MessageText
	}
	return websocket.MessageBinary
}

// Write sends a message, after all that were written or queued before, and returns when the
// network has accepted it. p may be used again when it returns.
func (c *Conn) Write(typ websocket.MessageType, p []byte) error {
	kind, err := kindOf(typ, p)
	if err != nil {
		return err
	}
	return c.out.write(kind, p)
}

// Send queues a message and never waits; p is copied. A peer that lets more than
// QueueBytes or QueueMessages pile up is closed with 1013 `slow`, and Send returns [ws.ErrSlow].
// A message that could never be queued is an error and changes nothing.
func (c *Conn) Send(typ websocket.MessageType, p []byte) error {
	kind, err := kindOf(typ, p)
	if err != nil {
		return err
	}
	if len(p)+Overhead > c.out.most.Bytes {
		return fmt.Errorf("seal: send: a record of %d bytes is more than QueueBytes, %d", len(p)+Overhead, c.out.most.Bytes)
	}
	if taken, err := c.out.queue(kind, p); taken {
		return err
	}
	c.out.stop(ws.ErrSlow)
	go func() { _ = c.m.Close(ws.ErrSlow.Code, ws.ErrSlow.Reason) }() // may block
	return ws.ErrSlow
}

// WriteJSON writes v as a text message.
func (c *Conn) WriteJSON(v any) error {
	p, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("seal: json: %w", err)
	}
	return c.Write(websocket.MessageText, p)
}

// ReadJSON reads the next message, which must be text, into v. If the message is not text, or not
// JSON that fits v, the error matches [ws.ErrInvalid] in errors.Is and the connection continues.
func (c *Conn) ReadJSON(v any) error {
	typ, p, err := c.Read()
	if err != nil {
		return err
	}
	if typ != websocket.MessageText {
		err = errors.New("seal: json: a binary message")
	} else if err = json.Unmarshal(p, v); err == nil {
		return nil
	}
	return &ws.CloseError{Code: ws.ErrInvalid.Code, Reason: ws.ErrInvalid.Reason, Err: err}
}

// Close sends a sealed close record after the messages that were written and queued, and
// then closes with the code and reason, which are not sealed. If a close frame may not
// contain them, Close returns an error and changes nothing.
func (c *Conn) Close(code websocket.StatusCode, reason string) error {
	if err := (&ws.CloseError{Code: code, Reason: reason}).Validate(); err != nil {
		return err
	}
	c.closed.Store(true)
	_ = c.CloseWrite()
	return c.m.Close(code, reason)
}

// CloseWrite sends a sealed close record after the messages that were written and queued,
// and returns when that has been sent, after 5 s at the latest. Later writes fail with
// [ws.ErrClosed]. Reading continues. Plain text has no close record: CloseWrite then only
// waits for the queue.
func (c *Conn) CloseWrite() error { return c.closeWrite(ws.ErrClosed) }

// closeWrite is CloseWrite with the error of later writes.
func (c *Conn) closeWrite(why error) error {
	if c.finishing.CompareAndSwap(false, true) {
		c.finishErr = c.writeClose(why)
		close(c.finished)
	}
	<-c.finished // later calls wait as well
	return c.finishErr
}

func (c *Conn) writeClose(why error) error {
	done := make(chan error, 1)
	c.out.finish(recordClose, why, done)
	grace := time.NewTimer(closeWriteGrace)
	defer grace.Stop()
	select {
	case err := <-done:
		return err
	case <-grace.C:
		return ws.ErrTimeout
	}
}
