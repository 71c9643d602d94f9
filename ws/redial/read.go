package redial

import (
	"encoding/json"
	"errors"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
)

// Read returns the next message. It takes no context: it returns when the connection ends,
// with the [ws.CloseError] that is the cause, which matches io.EOF in errors.Is if the
// server closed normally. Text is valid UTF-8, except under [ws.SealedPrefix]. p belongs to
// the caller until the next Read, which reuses the memory. A Read while another goroutine is
// reading is an error that does not end the connection.
func (c *Conn) Read() (typ websocket.MessageType, p []byte, err error) { return c.in.read() }

// ReadJSON reads the next message, which must be text, into v. If the message is not text, or not
// JSON that fits v, the error matches [ws.ErrInvalid] in errors.Is and the connection continues.
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
	c.link.end(ws.ErrReadOnly)
	return c.link.ended()
}
