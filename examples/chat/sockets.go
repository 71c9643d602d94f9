package main

import (
	"context"
	"fmt"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/seal"
)

// The routes that end in a socket. A browser sends the session's cookie to all of them;
// the routes with tickets ignore it, so that there is only one credential.
const (
	wsPath     = "/ws"     // the cookie, or a bearer token
	socketPath = "/socket" // a ticket, or a bearer token: the page
	sealedPath = "/sealed" // the same, with messages encrypted inside TLS
)

// audience is the name of the sealed route, configured at both ends. It is not taken from
// the Host header, which a proxy could choose.
const audience = "securews-chat"

// sealKeyLife is how long a key for sealed connections is used. This process makes its
// keys at start; a deployment that stores them rotates them with an overlap.
const sealKeyLife = 30 * 24 * time.Hour

// sockets are the handlers of all socket routes.
type sockets struct {
	keys           *seal.Keyring
	tickets        *ticket.Tickets // for socketPath
	sealedTickets  *ticket.Tickets
	ws             *ws.Handler
	socket, sealed *ws.Handler
}

// newSockets returns the three handlers. Each has its own Auth: a ticket for one opens no
// other.
func (a *app) newSockets(tokens middleware.Authenticator) (s sockets, err error) {
	store, err := a.state.tickets() // shared: a ticket presented on the wrong route is also consumed
	if err != nil {
		return s, err
	}
	cfg := a.socketConfig()
	cfg.Log, cfg.Serve, cfg.Validate = a.log, a.serve, validate
	cfg.Subprotocols = []string{subprotocol}
	if s.ws, err = ws.New(cfg); err != nil {
		return s, err
	}
	if s.tickets, cfg.Auth, err = a.gate.byTicket(socketPath, store, tokens); err != nil {
		return s, err
	}
	if s.socket, err = ws.New(cfg); err != nil {
		return s, err
	}
	if s.sealedTickets, cfg.Auth, err = a.gate.byTicket(sealedPath, store, tokens); err != nil {
		return s, err
	}
	s.keys, s.sealed, err = a.newSealed(cfg)
	return s, err
}

// newSealed returns the handler of the sealed route. Its subprotocols are the sealed ones alone, so
// that no downgrade is possible.
func (a *app) newSealed(cfg ws.Config) (*seal.Keyring, *ws.Handler, error) {
	keys, err := newSealKeys(a.state.secret)
	if err != nil {
		return nil, nil, err
	}
	sealer, err := seal.NewServer(seal.Config{
		Keys: keys, Audience: audience,
		Principal: func(p middleware.Principal) string { return p.Subject },
	})
	if err != nil {
		return nil, nil, err
	}
	h, err := ws.New(sealer.Seal(cfg, a.serveSealed))
	return keys, h, err
}

// newSealKeys makes a key of the suite that resists quantum computers, and one for clients that
// do not support it.
func newSealKeys(from *secret) (*seal.Keyring, error) {
	var keys []seal.Key
	for _, suite := range []seal.Suite{seal.XWing, seal.X25519} {
		private, err := from.bytes("seal key "+suite.String(), 32) // of both suites
		if err != nil {
			return nil, err
		}
		key, err := seal.ParseKey(suite, private, time.Now().Add(sealKeyLife))
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return seal.NewKeyring(keys...)
}

// socketConfig is the configuration that the three handlers share.
func (a *app) socketConfig() ws.Config {
	return ws.Config{
		Origins: a.gate.origins,
		Hosts:   a.gate.hosts,
		Proxies: a.proxies,
		Auth:    a.gate.either,
		Live:    a.registry,

		Authorize: a.mayChat,
		Limits: ws.Limits{
			Message: maxMessage,
			// People do not type faster; a faster program is closed with 1008 `rate`.
			MessagesPerSecond: 20,
		},
	}
}

func (a *app) serve(_ context.Context, c *ws.Conn) error {
	return converse(a.hub, c.Principal().Subject, c)
}

// serveSealed has its own hub: messages sent there cannot reach a connection that is not
// sealed.
func (a *app) serveSealed(ctx context.Context, c ws.Connection) error {
	p, _ := middleware.FromContext(ctx)
	return converse(a.vault, p.Subject, c)
}

// converse serves one connection until it ends.
func converse(h *hub, user string, c ws.Connection) error {
	me := h.enter(user, c)
	defer h.exit(me)
	for {
		typ, p, err := c.Read()
		if err != nil {
			return err
		}
		q, err := parseMessage(typ, p)
		if err != nil {
			return &ws.CloseError{Code: ws.ErrInvalid.Code, Reason: ws.ErrInvalid.Reason, Err: fmt.Errorf("%s: %w", user, err)}
		}
		switch q.Type {
		case "join":
			h.join(me, q.Room)
		case "say":
			h.say(me, q.Text)
		}
	}
}
