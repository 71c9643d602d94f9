package ws

import (
	"strings"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

// Conn is one connection, for the time of its Serve call. Read, ReadJSON and
// PushOnly belong to one goroutine at a time; everything else is safe for
// concurrent use. Reads and writes fail once the connection has ended, with the cause: a
// [CloseError].
type Conn struct {
	link
	in  inbound
	out outbound

	origin      string
	subprotocol string
	value       any                 // of Authorize
	detached    contextkey.Detached // under the context
	pulse       string              // a ping of the page's client, which has no other; "" for other clients
}

// newConn makes a connection that has no principal yet, and is not upgraded.
func (h *Handler) newConn(hs handshake) *Conn {
	c := &Conn{origin: hs.origin, subprotocol: hs.subprotocol}
	c.rules = h.rules
	if c.sealed() {
		c.rules = h.sealed
	}
	c.out.link, c.out.workers, c.out.writing = &c.link, h.workers, make(chan struct{}, 1)
	c.in.guard.out, c.in.messages.rate = &c.out, &c.rules.messages
	return c
}

// ID returns the id of the connection in logs and in the Securews-Connection header of the
// 101, and in live.Registry.List: the one that the credential reserved, as a ticket does, else
// that of the request in the access log, else 128 random bits. It is not secret and grants
// nothing.
func (c *Conn) ID() string { return c.binding.ID() }

// Principal returns the principal that opened the connection.
func (c *Conn) Principal() middleware.Principal { return c.binding.Principal() }

// Value returns the value that Config.Authorize returned; nil without an Authorize.
func (c *Conn) Value() any { return c.value }

// Origin returns the page's origin as the handshake gave it, which Config.Origins has
// let through; "" if there was none.
func (c *Conn) Origin() string { return c.origin }

// SealedPrefix begins the subprotocols of sealed connections (package seal). Messages are
// binary there. Package seal refuses one that comes as text, in the one way in which it refuses
// everything, so its text is not checked for UTF-8 before.
const SealedPrefix = "hpke1."

// sealed reports whether the messages are records of package seal.
func (c *Conn) sealed() bool { return strings.HasPrefix(c.subprotocol, SealedPrefix) }

// Subprotocol returns the negotiated subprotocol, "" if the client offered none.
func (c *Conn) Subprotocol() string { return c.subprotocol }

// Close ends the connection with the code and reason, without waiting for the
// peer's answer; an earlier cause stays. A server may send 1000-1003, 1007-1014 and
// 3000-4999, with a reason of up to 123 bytes of UTF-8 (RFC 6455 §5.5, §7.4). Anything else is an
// error, and changes nothing.
func (c *Conn) Close(code websocket.StatusCode, reason string) error {
	cause := &CloseError{Code: code, Reason: reason}
	if err := cause.Validate(); err != nil {
		return err
	}
	c.out.end(cause)
	c.out.sendClose()
	return nil
}

// End is Close with a cause whose error behind it is logged. It is for the packages of this module, which
// pass contextkey.Key().
func (c *Conn) End(key contextkey.Ours, cause *CloseError) {
	if key.Valid() && cause != nil && cause.Validate() == nil {
		_ = c.out.endNow(cause)
	}
}
