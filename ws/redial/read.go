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

// errConcurrentRead reports a bug in serve; it does not end the connection.
var errConcurrentRead = errors.New("redial: read: another goroutine is reading")

// errPeer is wrapped by a cause that the server sent.
var errPeer = fromServer{}

type fromServer struct{}

func (fromServer) Error() string { return "redial: closed by the server" }

// FromPeer lets package seal, which does not trust a reason that is not sealed, distinguish
// such a cause from the client's own.
func (fromServer) FromPeer() bool { return true }

// Read returns the next message. It takes no context: it returns when the connection ends,
// with the [ws.CloseError] that is the cause, which matches io.EOF in errors.Is if the
// server closed normally. Text is valid UTF-8, except under [ws.SealedPrefix]. p belongs to
// the caller until the next Read, which reuses the memory.
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

// ReadJSON reads the next message, which must be text, into v. If the message is not valid,
// the error matches [ws.ErrInvalid] in errors.Is and the connection continues.
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

// PushOnly serves a connection on which only the client sends: it answers control frames
// until the connection ends and returns the cause. A message from the server ends it with
// 1003.
func (c *Conn) PushOnly() error {
	if _, _, err := c.Read(); err != nil {
		return err
	}
	c.end(ws.ErrReadOnly)
	return c.ended()
}

// readAll is the only goroutine that reads, so that no read has to be interrupted. After
// the connection has ended on this side it continues to read, to receive the server's close
// frame, until TCP is closed.
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
			memory = nil // do not keep the memory of a rare large message
		}
		if !c.hand(message{typ, p}) {
			memory = nil // serve may still look at it
		}
	}
}

// hand passes a message to Read and waits until its memory may be reused; it returns false
// if serve may still use it.
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

// next reads one message into memory, which grows with the bytes that have arrived and not
// with the announced length.
func (c *Conn) next(memory []byte) (websocket.MessageType, []byte, error) {
	// A context that never ends, because coder cuts TCP without a close frame when it does.
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

// failed ends the connection with the cause that coder's error stands for.
func (c *Conn) failed(err error) {
	var peer websocket.CloseError
	switch {
	case errors.As(err, &peer):
		c.end(peerClosed(peer))
	case errors.Is(err, websocket.ErrMessageTooBig):
		c.end(ws.ErrTooBig)
	case c.wire.broken.Load(), c.ended() != nil, errors.Is(err, net.ErrClosed), errors.Is(err, context.DeadlineExceeded):
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // without a close frame the end is not normal
		}
		c.cut(err)
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
