package ws

import "github.com/coder/websocket"

// Connection is a connection as an application uses it. A [*Conn], a redial.Conn, and a seal.Conn over
// either of them have its methods, so that one function serves plain and sealed connections, on both
// ends. The methods are documented there.
type Connection interface {
	ID() string
	Subprotocol() string
	Read() (typ websocket.MessageType, p []byte, err error)
	ReadJSON(v any) error
	Write(typ websocket.MessageType, p []byte) error
	WriteJSON(v any) error
	Send(typ websocket.MessageType, p []byte) error
	Close(code websocket.StatusCode, reason string) error
}

var _ Connection = (*Conn)(nil)
