package redial

import (
	"strings"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
)

// Layer changes what goes out over a connection, as a sealed one does (package seal).
type Layer = interface {
	// Write sends a message by [Conn.Write], changed. It returns an error only where
	// the connection has ended, or is being closed.
	Write(typ websocket.MessageType, p []byte) error

	// CloseWrite tells the server, in a bounded time, that nothing follows.
	CloseWrite() error
}

// SendThrough has everything that [Client.Send] and [Conn.Send] queue written by l from
// now on, and l say goodbye where the client itself ends the connection. Only the first
// call counts. Where the server has selected a sealed subprotocol, [ws.SealedPrefix] and a
// name, the queue waits for it: nothing of it ever goes out unsealed. Connect in package seal
// calls it; Config.Greet is the place to connect in where a greeting is to be first.
func (c *Conn) SendThrough(l Layer) {
	if c.layer.CompareAndSwap(nil, &l) {
		close(c.layered)
	}
}

func (c *Conn) sealed() bool { return strings.HasPrefix(c.subprotocol, ws.SealedPrefix) }

// awaitLayer reports whether the queue may go out; it waits for what seals it.
func (c *Conn) awaitLayer() bool {
	if !c.sealed() {
		return true
	}
	select {
	case <-c.layered:
		return true
	case <-c.over:
		return false
	}
}

// writeQueued sends a message of the queue; begun: some of it may be on its way.
func (c *Conn) writeQueued(typ websocket.MessageType, p []byte) (begun bool, err error) {
	l := c.layer.Load()
	if l == nil {
		return c.write(typ, p)
	}
	if err := c.ended(); err != nil {
		return false, err
	}
	return true, (*l).Write(typ, p)
}

// closeWrite lets the layer say goodbye on a connection that is about to be closed.
func (c *Conn) closeWrite() {
	if l := c.layer.Load(); l != nil && c.ended() == nil {
		_ = (*l).CloseWrite()
	}
}

// retire ends a connection whose successor is open.
func (c *Conn) retire() {
	c.flush()
	c.retiring.Store(true)
	c.closeWrite()
	c.end(ErrRenewed)
}
