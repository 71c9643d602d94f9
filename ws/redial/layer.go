package redial

import (
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
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

// SendThrough makes l write everything that [Client.Send] and [Conn.Send] queue from now
// on. l.CloseWrite is called before the connection is closed because it was renewed, or
// because serve returned nil or a [ws.CloseError]. Only the first call has an effect.
//
// If the server has selected a sealed subprotocol, [ws.SealedPrefix] and a name, the queue
// waits for this call: no queued message is ever sent unsealed. Connect in package seal
// calls it; to send a greeting first, connect in Config.Greet.
func (c *Conn) SendThrough(l Layer) {
	if c.layer.CompareAndSwap(nil, &l) {
		close(c.layered)
	}
}

func (c *Conn) sealed() bool { return strings.HasPrefix(c.subprotocol, ws.SealedPrefix) }

// awaitLayer waits for the layer of a sealed connection and reports whether the queue may
// be sent.
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

// writeQueued sends a queued message; begun reports whether part of it may have been sent.
func (c *Conn) writeQueued(typ websocket.MessageType, p []byte) (begun bool, err error) {
	l := c.layer.Load()
	if l == nil {
		return c.write(typ, p)
	}
	if err := c.ended(); err != nil {
		return false, err
	}
	err = (*l).Write(typ, p)
	return err != error(ws.ErrClosed), err
}

// closeWrite calls the layer's CloseWrite on a connection that is about to be closed, and
// waits for it or for the end of the connection.
func (c *Conn) closeWrite() {
	l := c.layer.Load()
	if l == nil || c.ended() != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = (*l).CloseWrite()
	}()
	select {
	case <-done:
	case <-c.over:
	}
}

// replacedGrace is short, because the successor is not served before the end. Messages that
// are still queued then are sent over the successor.
const replacedGrace = 2 * time.Second

// endReplaced ends a connection whose successor is open.
func (c *Conn) endReplaced() {
	late := time.AfterFunc(replacedGrace, func() { c.end(ErrRenewed) })
	defer late.Stop()
	c.flush()
	c.replaced.Store(true)
	c.closeWrite()
	c.end(ErrRenewed)
}
