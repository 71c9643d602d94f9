package redial

import (
	"sync/atomic"

	"github.com/coder/websocket"
)

// Layer transforms the messages that are sent over a connection, as package seal does.
type Layer = interface {
	// Write transforms a message and sends it with [Conn.Write]. It returns an error only
	// if the connection has ended or is being closed: exactly [ws.ErrClosed] if CloseWrite
	// was called before and nothing of the message was sent.
	Write(typ websocket.MessageType, p []byte) error

	// CloseWrite announces to the server, in bounded time, that no message follows.
	CloseWrite() error
}

// layerSlot holds the layer of a connection, once there is one.
type layerSlot struct {
	layer atomic.Pointer[Layer]
	set   chan struct{} // closed when there is a layer
}

func (s *layerSlot) begin() { s.set = make(chan struct{}) }

// put sets the first layer.
func (s *layerSlot) put(l Layer) {
	if s.layer.CompareAndSwap(nil, &l) {
		close(s.set)
	}
}

// get returns the layer, or nil.
func (s *layerSlot) get() Layer {
	if l := s.layer.Load(); l != nil {
		return *l
	}
	return nil
}
