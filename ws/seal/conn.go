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

	"github.com/securews/securews/ws"
)

// Conn is a connection whose messages are sealed, of either side. Read and ReadJSON
// belong to one goroutine at a time; everything else is safe for concurrent use.
// Nothing else may read or write the connection underneath.
type Conn struct {
	m        Messages
	id       string
	in       *direction // nil: plain text
	out      outbox
	readErr  error // how reading ended
	notified bool  // the peer has said that it is done
	closed   atomic.Bool

	goodbye atomic.Bool // is being said, or has been
	said    chan struct{}
	saidErr error // set before said is closed
}

// goodbyeGrace is for the records before the last to go out.
const goodbyeGrace = 5 * time.Second

func newConn(m Messages, queueBytes, queueMessages int) *Conn {
	return &Conn{m: m, said: make(chan struct{}), out: outbox{m: m, bytes: queueBytes, messages: queueMessages}}
}

// Sealed reports whether messages are encrypted: always, unless PolicyPreferred let
// the connection through without.
func (c *Conn) Sealed() bool { return c.in != nil }

// ID is the server's name for the connection, see [ws.Conn.ID]; on the client it came
// sealed, and is "" in plain text.
func (c *Conn) ID() string { return c.id }

// Subprotocol returns the negotiated subprotocol, with the prefix of a sealed one.
func (c *Conn) Subprotocol() string { return c.m.Subprotocol() }

// Read returns the next message. Text is valid UTF-8. p belongs to the caller until
// the next Read.
//
// Where the peer has said that nothing follows, the error is io.EOF to errors.Is; where
// the connection ended without that, something may have been cut off and it is
// io.ErrUnexpectedEOF. errors.As finds a [ws.CloseError] in either, with the code of the
// close frame, which, other than the messages, whoever is in between may have written.
// Anything that was changed on its way is [ErrDecrypt].
func (c *Conn) Read() (typ websocket.MessageType, p []byte, err error) {
	if c.in == nil {
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

// next opens the next record, whatever it is.
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

// ended is what an error of the connection underneath means.
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

// kindOf is the record type of a message, and checks it.
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

// Write sends a message and returns when the network has taken it, after all that was
// written or queued before. p may be used again when it returns.
func (c *Conn) Write(typ websocket.MessageType, p []byte) error {
	kind, err := kindOf(typ, p)
	if err != nil {
		return err
	}
	return c.out.write(kind, p)
}

// Send queues a message and never waits; p is copied. A peer that lets more than
// QueueBytes or QueueMessages pile up is closed with 1013 `slow`. A message that could
// never be queued is an error and changes nothing.
func (c *Conn) Send(typ websocket.MessageType, p []byte) error {
	kind, err := kindOf(typ, p)
	if err != nil {
		return err
	}
	if len(p)+Overhead > c.out.bytes {
		return fmt.Errorf("seal: send: a record of %d bytes is more than QueueBytes, %d", len(p)+Overhead, c.out.bytes)
	}
	if taken, err := c.out.queue(kind, p); taken {
		return err
	}
	c.out.stop(ws.ErrSlow)
	go func() { _ = c.m.Close(ws.ErrSlow.Code, ws.ErrSlow.Reason) }() // which may wait
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

// ReadJSON reads the next message, which must be text, into v. An error that is not
// the connection's ending is [ws.ErrInvalid].
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

// Close tells the peer, sealed, that nothing follows what was written and queued, and
// closes with the code and reason, which are not sealed. Those that may not stand in a
// close frame are an error and change nothing. Read then ends with [ws.ErrClosed].
func (c *Conn) Close(code websocket.StatusCode, reason string) error {
	if err := (&ws.CloseError{Code: code, Reason: reason}).Validate(); err != nil {
		return err
	}
	c.closed.Store(true)
	_ = c.CloseWrite()
	return c.m.Close(code, reason)
}

// CloseWrite tells the peer, sealed, that nothing follows what was written and queued, and
// returns when that has gone out, after 5 s at the latest. Whatever is written later fails
// with [ws.ErrClosed]. Reading goes on. In plain text there are no such words, and it
// waits for the queue only.
func (c *Conn) CloseWrite() error {
	if c.goodbye.CompareAndSwap(false, true) {
		c.saidErr = c.sayGoodbye()
		close(c.said)
	}
	<-c.said // whoever comes second waits as well
	return c.saidErr
}

func (c *Conn) sayGoodbye() error {
	done := make(chan error, 1)
	c.out.finish(recordClose, ws.ErrClosed, done)
	grace := time.NewTimer(goodbyeGrace)
	defer grace.Stop()
	select {
	case err := <-done:
		return err
	case <-grace.C:
		return ws.ErrTimeout
	}
}
