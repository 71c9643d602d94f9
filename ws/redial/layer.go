package redial

import (
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
)

// Layer changes what goes out over a connection, as a sealed one does (package seal).
type Layer = interface {
	// Write sends a message by [Conn.Write], changed. It returns an error only where
	// the connection has ended or is being closed: [ws.ErrClosed] itself where goodbye
	// has been said and nothing of the message was sent.
	Write(typ websocket.MessageType, p []byte) error

	// CloseWrite tells the server, in a bounded time, that nothing follows.
	CloseWrite() error
}

// SendThrough has everything that [Client.Send] and [Conn.Send] queue written by l from
// now on, and l say goodbye where the connection is renewed, or ended by a serve that
// returns nil or a [ws.CloseError]. Only the first call counts.
//
// Where the server has selected a sealed subprotocol, [ws.SealedPrefix] and a name, the
// queue waits for it: nothing of it ever goes out unsealed. Connect in package seal calls
// it; Config.Greet is the place to connect in where a greeting is to be first.
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
	err = (*l).Write(typ, p)
	return err != error(ws.ErrClosed), err
}

// closeWrite lets the layer say goodbye on a connection that is about to be closed, for as
// long as that lives.
func (c *Conn) closeWrite() {
	l := c.layer.Load()
	if l == nil || c.ended() != nil {
		return
	}
	said := make(chan struct{})
	go func() {
		defer close(said)
		_ = (*l).CloseWrite()
	}()
	select {
	case <-said:
	case <-c.over:
	}
}

// retireGrace is short, because the successor is not served before: what is still queued
// then goes out over that one.
const retireGrace = 2 * time.Second

// retire ends a connection whose successor is open.
func (c *Conn) retire() {
	late := time.AfterFunc(retireGrace, func() { c.end(ErrRenewed) })
	defer late.Stop()
	c.flush()
	c.retiring.Store(true)
	c.closeWrite()
	c.end(ErrRenewed)
}
