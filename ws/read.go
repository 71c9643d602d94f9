package ws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// errConcurrentRead is a mistake in Serve, not an ending.
var errConcurrentRead = errors.New("ws: read: another goroutine is reading")

// Read returns the next message. It takes no context: it ends when the connection
// does, with the [CloseError] that says why; that of a peer which closed normally is
// io.EOF to errors.Is. Text is valid UTF-8, but under [SealedPrefix], and Config.Validate
// has passed the message. p belongs to the caller until the next Read, which takes the
// memory back, or until Serve returns.
//
// Serve must keep reading, or call [Conn.PushOnly]: the peer's pings, pongs and close are
// seen by a reader only. An unread connection is pinged, but no answer is seen: after its
// peer has left it goes on until the network reports that to the write of a ping, its
// credential ends, or Timeouts.Idle, if that is set, or live.Timeouts.MaxAge is over.
func (c *Conn) Read() (typ websocket.MessageType, p []byte, err error) {
	if err := c.ended(); err != nil {
		return 0, nil, err
	}
	if !c.reading.TryLock() {
		return 0, nil, errConcurrentRead
	}
	c.readSince.Store(c.h.now())
	defer func() {
		c.readSince.Store(0)
		c.reading.Unlock()
	}()
	for typ, p, err = c.next(); err == nil && c.isPulse(typ, p); typ, p, err = c.next() {
		if cause := c.answerPulse(p); cause != nil {
			return 0, nil, c.endNow(cause)
		}
	}
	if err != nil {
		return 0, nil, c.failedRead(err)
	}
	if err := c.ended(); err != nil { // a message after the end is not returned
		return 0, nil, err
	}
	if cause := c.judge(typ, p); cause != nil {
		return 0, nil, c.endNow(cause)
	}
	if err := c.ended(); err != nil {
		return 0, nil, err
	}
	return typ, p, nil
}

// next reads the next message.
func (c *Conn) next() (typ websocket.MessageType, p []byte, err error) {
	c.release()
	c.awaitMessage()
	typ, r, err := c.coder.Reader((*readContext)(c))
	if err != nil {
		return 0, nil, err
	}
	p, err = c.slurp(r)
	return typ, p, err
}

// judge holds a whole message to the rate and to Validate.
func (c *Conn) judge(typ websocket.MessageType, p []byte) *CloseError {
	now := c.h.now()
	c.lastMessage.Store(now)
	c.traffic.received.Add(1)
	c.traffic.receivedBytes.Add(int64(len(p)))
	if !c.messages.take(now) {
		return ErrRate
	}
	if c.h.cfg.Validate == nil {
		return nil
	}
	err := c.h.cfg.Validate(c.ctx, typ, p)
	if err == nil {
		return nil
	}
	return closeErrorOr(err, ErrInvalid)
}

// endNow is end with the close frame, for a goroutine that may write it; it returns the cause
// that won.
func (c *Conn) endNow(cause *CloseError) error {
	c.end(cause)
	c.sendClose()
	return c.ended()
}

// failedRead turns coder's error into the cause.
func (c *Conn) failedRead(err error) error {
	if err := c.ended(); err != nil {
		return err
	}
	peer, closed := errors.AsType[websocket.CloseError](err)
	switch {
	case c.guard.failed != nil:
		return c.endNow(c.guard.failed)
	case closed && !utf8.ValidString(peer.Reason):
		return c.endNow(ErrUTF8) // RFC 6455 §5.5.1
	case closed:
		return c.endNow(peerClosed(peer))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, net.ErrClosed):
		return c.endNow(ErrTimeout) // coder gives a control frame 5 s to be complete
	case c.guard.frames.sawClose:
		return c.endNow(ErrProtocol.Wrap(err)) // a close frame that cannot be read
	}
	c.endAbnormally(err)
	return c.ended()
}

func peerClosed(peer websocket.CloseError) *CloseError {
	for _, e := range peerClosedNormally {
		if e.Code == peer.Code && e.Reason == peer.Reason {
			return e
		}
	}
	e := &CloseError{Code: peer.Code, Reason: peer.Reason, Err: errPeer}
	switch peer.Code {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd:
		e.Err = io.EOF
	}
	return e
}

// peerClosedNormally are the closes of most peers, made once.
var peerClosedNormally = [...]*CloseError{
	{Code: websocket.StatusNormalClosure, Err: io.EOF},
	{Code: websocket.StatusGoingAway, Err: io.EOF},
	{Code: websocket.StatusNoStatusRcvd, Err: io.EOF},
}

var errPeer = errors.New("ws: closed by the peer")

// buffers holds the memory of messages that are being read or written.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 4<<10)
	return &b
}}

// maxPooled keeps a rare large message from staying in the pool.
const maxPooled = 128 << 10

func putBuffer(b *[]byte) {
	if cap(*b) <= maxPooled {
		*b = (*b)[:0]
		buffers.Put(b)
	}
}

// slurp reads one message into pooled memory, which grows with the bytes that have
// arrived and not with the announced length.
func (c *Conn) slurp(r io.Reader) ([]byte, error) {
	c.incoming = buffers.Get().(*[]byte)
	b := *c.incoming
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		*c.incoming = b
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// release gives the last message's memory back.
func (c *Conn) release() {
	if c.incoming != nil {
		putBuffer(c.incoming)
		c.incoming = nil
	}
}

// ReadJSON reads the next message, which must be text, into v. An error that is not
// the connection's ending is [ErrInvalid], which Serve may return to close with
// 1008, or leave at an answer of its own.
func (c *Conn) ReadJSON(v any) error {
	typ, p, err := c.Read()
	if err != nil {
		return err
	}
	if typ != websocket.MessageText {
		return ErrInvalid.Wrap(errors.New("ws: json: a binary message"))
	}
	if err := json.Unmarshal(p, v); err != nil {
		return ErrInvalid.Wrap(fmt.Errorf("ws: json: %w", err))
	}
	return nil
}

// PushOnly serves a connection that only sends: it answers control frames until the
// connection ends and returns the cause. A message from the peer ends it with 1003.
func (c *Conn) PushOnly() error {
	if _, _, err := c.Read(); err != nil {
		return err
	}
	return c.endNow(ErrReadOnly)
}
