package ws

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/coder/websocket"
)

// errConcurrentRead is a mistake in Serve, not an ending.
var errConcurrentRead = errors.New("ws: read: another goroutine is reading")

// Read returns the next message. It takes no context: it ends when the connection
// does, with the [CloseError] that says why; that of a peer which closed normally is
// io.EOF to errors.Is. Text is valid UTF-8, except under [SealedPrefix], and Config.Validate
// has passed the message. p belongs to the caller until the next Read, which takes the
// memory back, or until Serve returns. A Read while another goroutine is reading is an error
// that does not end the connection.
//
// Serve must keep reading, or call [Conn.PushOnly]: the peer's pings, pongs and close are
// seen by a reader only. An unread connection is pinged, but no answer is seen: after its
// peer has left it goes on until the network reports that to the write of a ping, its
// credential ends, or Timeouts.Idle, if that is set, or live.Timeouts.MaxAge is over.
func (c *Conn) Read() (typ websocket.MessageType, p []byte, err error) {
	if err := c.ended(); err != nil {
		return 0, nil, err
	}
	if !c.in.reading.TryLock() {
		return 0, nil, errConcurrentRead
	}
	c.times.readSince.Store(c.now())
	defer func() {
		c.times.readSince.Store(0)
		c.in.reading.Unlock()
	}()
	for typ, p, err = c.in.next(); err == nil && c.isPulse(typ, p); typ, p, err = c.in.next() {
		if cause := c.answerPulse(p); cause != nil {
			return 0, nil, c.out.endNow(cause)
		}
	}
	if err != nil {
		return 0, nil, c.in.failed(err)
	}
	if err := c.ended(); err != nil { // a message after the end is not returned
		return 0, nil, err
	}
	if cause := c.in.judge(typ, p); cause != nil {
		return 0, nil, c.out.endNow(cause)
	}
	if err := c.ended(); err != nil {
		return 0, nil, err
	}
	return typ, p, nil
}

// ReadJSON reads the next message, which must be text, into v. If the message is not text, or
// not JSON that fits v, the error matches [ErrInvalid] in errors.Is and the connection
// continues: Serve may return the error, which closes with 1008, or answer the peer.
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
	return c.out.endNow(ErrReadOnly)
}
