package redial

import "github.com/coder/websocket"

// Undelivered is a message that a Send queued and that was not handed to the network
// completely, or of which it is not known whether it arrived.
type Undelivered struct {
	Type    websocket.MessageType
	Payload []byte

	// Begun reports that the connection ended during the write. The message may have
	// arrived.
	Begun bool

	// Unconfirmed reports that the message was written, or begun, and that the connection
	// ended before the server showed that it had read it. It may have arrived.
	Unconfirmed bool

	// Cause is why Run ended, nil if serve returned nil; for a message of [Conn.Send], or
	// one that was begun, why the connection ended.
	Cause error
}

// undelivered describes a message that was queued and not sent completely.
func undelivered(m queued, begun bool, cause error) Undelivered {
	return Undelivered{Type: m.typ, Payload: m.payload, Begun: begun, Unconfirmed: begun, Cause: cause}
}

// written describes a message that was written to a connection that has ended.
func written(m queued, cause error) Undelivered {
	return Undelivered{Type: m.typ, Payload: m.payload, Unconfirmed: true, Cause: cause}
}
