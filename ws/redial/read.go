package redial

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
)

// errConcurrentRead is a mistake in serve, not an ending.
var errConcurrentRead = errors.New("redial: read: another goroutine is reading")

// errPeer stands behind a cause that the server named.
var errPeer = fromServer{}

type fromServer struct{}

func (fromServer) Error() string { return "redial: closed by the server" }

// FromPeer lets package seal, which believes no word that is not sealed, tell such a cause
// from the client's own.
func (fromServer) FromPeer() bool { return true }

// Read returns the next message. It takes no context: it ends when the connection
// does, with the [ws.CloseError] that says why; that of a server which closed normally
// is io.EOF to errors.Is. Text is valid UTF-8, but under [ws.SealedPrefix]. p belongs to
// the caller until the next Read, which takes the memory back.
func (c *Conn) Read() (typ websocket.MessageType, p []byte, err error) {
	if err := c.ended(); err != nil {
		return 0, nil, err
	}
	select {
	case c.reading <- struct{}{}:
	default:
		return 0, nil, errConcurrentRead
	}
	defer func() { <-c.reading }()
	if c.holding {
		c.holding = false
		select {
		case c.taken <- struct{}{}:
		case <-c.over:
			return 0, nil, c.ended()
		}
	}
	select {
	case m := <-c.messages:
		c.holding = true
		return m.typ, m.payload, nil
	case <-c.over:
		return 0, nil, c.ended()
	}
}

// ReadJSON reads the next message, which must be text, into v. An error that is not
// the connection's ending is [ws.ErrInvalid] to errors.Is.
func (c *Conn) ReadJSON(v any) error {
	typ, p, err := c.Read()
	if err != nil {
		return err
	}
	if typ != websocket.MessageText {
		err = errors.New("redial: json: a binary message")
	} else {
		err = json.Unmarshal(p, v)
	}
	if err != nil {
		return &ws.CloseError{Code: ws.ErrInvalid.Code, Reason: ws.ErrInvalid.Reason, Err: err}
	}
	return nil
}

// PushOnly serves a connection that only sends: it answers control frames until the
// connection ends and returns the cause. A message from the server ends it with 1003.
func (c *Conn) PushOnly() error {
	if _, _, err := c.Read(); err != nil {
		return err
	}
	c.end(ws.ErrReadOnly)
	return c.ended()
}

// readAll is the reader: the one goroutine that reads, so that nothing has to break
// off a read. When the connection has ended on this side it reads on, to see the
// server's close frame, until TCP is closed.
func (c *Conn) readAll() {
	var memory []byte
	for {
		typ, p, err := c.next(memory)
		if err != nil {
			c.failed(err)
			return
		}
		if typ == websocket.MessageText && !c.sealed() && !utf8.Valid(p) {
			c.end(ws.ErrUTF8)
		}
		if memory = p[:0]; cap(memory) > 64<<10 {
			memory = nil // a rare large message does not stay
		}
		if !c.hand(message{typ, p}) {
			memory = nil // serve may still look at it
		}
	}
}

// hand gives a message to Read and waits until it is done with; false: it may not be.
func (c *Conn) hand(m message) bool {
	if c.ended() != nil {
		return false
	}
	c.waiting.Store(true)
	defer func() {
		c.handed.Store(c.wire.now())
		c.waiting.Store(false)
	}()
	select {
	case c.messages <- m:
	case <-c.over:
		return false
	}
	select {
	case <-c.taken:
		return true
	case <-c.over:
		return false
	}
}

// next reads one message into memory, which grows with what has arrived and not with
// what was announced.
func (c *Conn) next(memory []byte) (websocket.MessageType, []byte, error) {
	// A context that cannot end: one that does has coder cut TCP without a close frame.
	typ, r, err := c.coder.Reader(context.Background())
	if err != nil {
		return 0, nil, err
	}
	for p := memory[:0]; ; {
		if len(p) == cap(p) {
			p = append(p, 0)[:len(p)]
		}
		n, err := r.Read(p[len(p):cap(p)])
		p = p[:len(p)+n]
		if err == io.EOF {
			return typ, p, nil
		}
		if err != nil {
			return 0, nil, err
		}
	}
}

// failed turns coder's error into the cause.
func (c *Conn) failed(err error) {
	var peer websocket.CloseError
	switch {
	case errors.As(err, &peer):
		c.end(peerClosed(peer))
	case errors.Is(err, websocket.ErrMessageTooBig):
		c.end(ws.ErrTooBig)
	case c.wire.broken.Load(), c.ended() != nil, errors.Is(err, net.ErrClosed), errors.Is(err, context.DeadlineExceeded):
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // without a close frame it is no normal end
		}
		c.lost(err)
	default:
		c.end(&ws.CloseError{Code: ws.ErrProtocol.Code, Reason: ws.ErrProtocol.Reason, Err: err})
	}
}

func peerClosed(peer websocket.CloseError) *ws.CloseError {
	e := &ws.CloseError{Code: peer.Code, Reason: strings.ToValidUTF8(peer.Reason, "\uFFFD"), Err: errPeer}
	switch peer.Code {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd:
		e.Err = io.EOF
	}
	return e
}
