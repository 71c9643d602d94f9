package main

import (
	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
)

// sender is the part of a connection that rooms need. Send queues and never blocks; a
// client that does not read is closed with 1013 `slow` and does not delay the others.
type sender interface {
	Send(typ websocket.MessageType, p []byte) error
}

// crowd is a set of connections that get the same messages. It is guarded by hub.mu.
type crowd struct {
	plain  ws.Group            // gets each message as one frame
	sealed map[sender]struct{} // each encrypts with keys of its own
}

func (w *crowd) join(to sender) {
	if c, ok := to.(*ws.Conn); ok {
		w.plain.Join(c)
		return
	}
	if w.sealed == nil {
		w.sealed = map[sender]struct{}{}
	}
	w.sealed[to] = struct{}{}
}

func (w *crowd) leave(to sender) {
	if c, ok := to.(*ws.Conn); ok {
		w.plain.Leave(c)
		return
	}
	delete(w.sealed, to)
}

// tell sends an event to every connection. An error is the end of a connection; its Serve reads the
// same one.
func (w *crowd) tell(event any) {
	p := encode(event)
	_, _ = w.plain.Send(websocket.MessageText, p)
	for to := range w.sealed {
		_ = to.Send(websocket.MessageText, p)
	}
}
