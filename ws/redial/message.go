package redial

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// ErrTooBig is returned by Send and Write if the message is larger than the server accepts,
// and is the cause of an [Undelivered] that was queued before the server named its limit.
// The message was not sent: the server would have ended the connection.
var ErrTooBig = errors.New("redial: send: the message is too big for the server")

type message struct {
	typ     websocket.MessageType
	payload []byte
}

var (
	errMessageType = errors.New("redial: write: the type is neither text nor binary")
	errTextNotUTF8 = errors.New("redial: write: text that is not UTF-8 (RFC 6455 §8.1)")
)

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

// checkSize returns ErrTooBig if the server would close a connection because of a message of n
// bytes.
func checkSize(n, most int) error {
	if n > most {
		return fmt.Errorf("%w: %d bytes, want at most %d (Limits.Message of the server, or Limits.Outgoing)", ErrTooBig, n, most)
	}
	return nil
}
