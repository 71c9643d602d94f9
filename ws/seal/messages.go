package seal

import (
	"context"
	"time"

	"github.com/coder/websocket"
)

// Messages is the connection underneath: a [ws.Conn], a redial.Conn, a *websocket.Conn
// through [Dialed], or any other type with these methods.
//
// The caller may write to the p of Read until the next Read, because records are opened in
// place. Write must not keep p.
type Messages interface {
	Read() (typ websocket.MessageType, p []byte, err error)
	Write(typ websocket.MessageType, p []byte) error
	Close(code websocket.StatusCode, reason string) error
	Subprotocol() string
}

// Dialed returns a client's connection as Messages. When ctx ends, TCP is cut. The read
// limit, 32 KiB unless c.SetReadLimit was called, counts records, which are [Overhead]
// bytes longer than their payload.
func Dialed(ctx context.Context, c *websocket.Conn) Messages {
	ctx, cancel := context.WithCancel(ctx)
	return &dialed{c, ctx, cancel}
}

// dialed keeps a context because coder's methods require one, and a read whose context ends
// cuts the connection: so it has to be the context of the connection.
type dialed struct {
	*websocket.Conn
	ctx    context.Context
	cancel context.CancelFunc
}

// closeGrace bounds the wait for the peer's answer to a close frame.
const closeGrace = 2 * time.Second

func (d *dialed) Read() (websocket.MessageType, []byte, error) { return d.Conn.Read(d.ctx) }

func (d *dialed) Write(typ websocket.MessageType, p []byte) error { return d.Conn.Write(d.ctx, typ, p) }

func (d *dialed) Close(code websocket.StatusCode, reason string) error {
	defer d.cancel()
	defer time.AfterFunc(closeGrace, d.cancel).Stop()
	return d.Conn.Close(code, reason)
}
