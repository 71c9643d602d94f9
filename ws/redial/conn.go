package redial

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/opening"
	"github.com/securews/securews/ws"
)

// Conn is one connection, for the time of its serve call. Read, ReadJSON and PushOnly
// belong to one goroutine at a time; everything else is safe for concurrent use. Once the
// connection has ended, which it does when serve returns, reads, writes and sends fail with the
// cause, and Close changes nothing.
//
// As with [ws.Conn], serve must keep reading: the server's pings and its close frame are
// processed only after the messages before them have been read.
type Conn struct {
	id          string
	subprotocol string
	credential  Credential
	link        link
	in          inbound
	out         outbound
	replaced    atomic.Bool // its successor is open, and it is being closed
}

// connConfig has the settings and the queue that all connections of a client use.
type connConfig struct {
	limits   Limits
	timeouts Timeouts
	queue    *queue
	report   func(Undelivered)
	closing  sync.WaitGroup // the calls of Layer.CloseWrite
}

// dialed is a WebSocket that has just been opened.
type dialed struct {
	coder      *websocket.Conn
	wire       *wire
	header     http.Header // of the 101
	credential Credential
}

// newConn starts a connection's reader and heartbeat.
func newConn(life context.Context, d dialed, cfg *connConfig) *Conn {
	c := &Conn{id: idOf(d.header), subprotocol: d.coder.Subprotocol(), credential: d.credential}
	sealed := strings.HasPrefix(c.subprotocol, ws.SealedPrefix)
	limits := limitsOf(d.header)

	c.link.coder, c.link.wire, c.link.timeout = d.coder, d.wire, cfg.timeouts.Close
	c.link.begin(life)
	c.in.begin(&c.link, sealed, cfg.limits.Message)

	c.out.link, c.out.queue, c.out.sealed = &c.link, cfg.queue, sealed
	c.out.timeout, c.out.report, c.out.closing = cfg.timeouts.Write, cfg.report, &cfg.closing
	c.out.pace, c.out.unconfirmed = newPace(limits), newUnconfirmed(cfg.limits)
	c.out.most = cfg.limits.Outgoing
	if limits.message > 0 {
		c.out.most = limits.message
	}
	c.out.layer.begin()

	c.link.workers.Go(c.in.readAll)
	c.link.workers.Go(heartbeat{
		link: &c.link, in: &c.in, unconfirmed: c.out.unconfirmed,
		every: jittered(cfg.timeouts.Heartbeat), timeout: cfg.timeouts.Pong,
	}.run)
	return c
}

// idOf returns the connection's ID in the server's logs, or "" if it is not a short token.
func idOf(h http.Header) string {
	id := h.Get("Securews-Connection")
	if len(id) > 128 || !opening.IsToken(id) {
		return ""
	}
	return id
}

// ID returns the ID of the connection in the server's logs, from the Securews-Connection
// header of its 101; "" with other servers.
func (c *Conn) ID() string { return c.id }

// Subprotocol returns the subprotocol that the server has selected.
func (c *Conn) Subprotocol() string { return c.subprotocol }

// Close ends the connection with the code and reason, without waiting for the server's
// answer; an earlier cause stays. [ws.CloseError.Retryable] and Config.RetryCodes decide
// whether Run reconnects.
func (c *Conn) Close(code websocket.StatusCode, reason string) error {
	cause := &ws.CloseError{Code: code, Reason: reason}
	if err := cause.Validate(); err != nil {
		return err
	}
	c.link.end(cause)
	return nil
}

// SendThrough makes l write everything that [Client.Send] and [Conn.Send] queue from now
// on. l.CloseWrite is called before the connection is closed because it was renewed, or
// because serve returned nil or a [ws.CloseError]. Only the first call has an effect.
//
// If the server has selected a sealed subprotocol, [ws.SealedPrefix] and a name, the queue
// waits for this call: no queued message is ever sent unsealed. Connect in package seal
// calls it; to send a greeting first, connect in Config.Greet.
func (c *Conn) SendThrough(l Layer) { c.out.layer.put(l) }

// endUnused ends a connection that will not be served.
func (c *Conn) endUnused() {
	if c == nil {
		return
	}
	c.link.end(ErrRenewed)
	c.link.workers.Wait()
}
