package ws

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/coder/websocket"
)

var (
	errMessageType = errors.New("ws: write: the type is neither text nor binary")
	errTextNotUTF8 = errors.New("ws: write: text that is not UTF-8 (RFC 6455 §8.1)")
)

// Write sends a message and returns when the kernel has taken it. A peer that takes nothing
// for Timeouts.Write is cut, with 1013 `slow`; a slow one that makes progress is not. It
// does not wait for what Send has queued. A large message is cut off when the credential is
// revoked or its principal forbidden. p may be used again when it returns. The error is the
// cause if the connection has ended; a typ that is neither text nor binary, or text that is not
// UTF-8, is an error that does not end it.
func (c *Conn) Write(typ websocket.MessageType, p []byte) error {
	if err := checkMessage(typ, p); err != nil {
		return err
	}
	if err := c.ended(); err != nil {
		return err
	}
	return c.out.writeFrame(byte(typ), p, 1)
}

// WriteJSON writes v as a text message. An error of the encoding does not end the connection.
func (c *Conn) WriteJSON(v any) error {
	p, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("ws: json: %w", err)
	}
	return c.Write(websocket.MessageText, p)
}

func checkMessage(typ websocket.MessageType, p []byte) error {
	switch typ {
	case websocket.MessageBinary:
		return nil
	case websocket.MessageText:
		if utf8.Valid(p) {
			return nil
		}
		return errTextNotUTF8
	}
	return errMessageType
}
