package seal

import (
	"context"
	"crypto/hpke"
	"encoding/json"
	"slices"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
)

// Client opens sealed connections to one service. It is safe for concurrent use. The zero
// value refuses every connection.
type Client struct {
	cfg ClientConfig // without its PSK
	psk func() PSK   // as in Server
}

// NewClient compiles a configuration, or returns an error that lists every problem in it.
func NewClient(cfg ClientConfig) (*Client, error) {
	cfg, err := cfg.compile()
	if err != nil {
		return nil, err
	}
	psk := cfg.PSK
	cfg.PSK = nil
	return &Client{cfg, func() PSK { return psk }}, nil
}

// Subprotocols returns the subprotocols that the handshake must offer.
func (cl *Client) Subprotocols() []string { return cl.cfg.Policy.subprotocols(cl.cfg.App) }

// Connect exchanges keys over a connection that has just been opened, within 5 s, and
// returns when the server has proved that it holds one of Keys. If it fails, the
// connection is closed: with [ErrDecrypt] if the server did not negotiate the sealed
// subprotocol, or if anything was changed in transit. If the connection ends before that,
// the error matches io.ErrUnexpectedEOF, as in [Conn.Read]. After 5 s it is [ws.ErrTimeout], and
// if ctx ends its cause.
//
// The messages in the queue of a redial.Client, present and future, are sent through the
// sealed connection.
func (cl *Client) Connect(ctx context.Context, m Messages) (*Conn, error) {
	c := newConn(m, cl.cfg.QueueBytes, cl.cfg.QueueMessages)
	switch got := m.Subprotocol(); {
	case len(cl.cfg.Keys) == 0: // the zero Client
		return nil, refused(m)
	case got == ws.SealedPrefix+cl.cfg.App:
	case cl.cfg.Policy == DangerouslyOptional && (got == cl.cfg.App || got == ""):
		return c, nil
	default:
		return nil, refused(m)
	}
	err := inTime(ctx, m, func() error {
		typ, first, err := m.Read()
		if err != nil {
			return err
		}
		var second []byte
		ok := typ == websocket.MessageBinary
		if ok {
			second, ok = cl.answer(c, first)
		}
		if !ok {
			return refused(m)
		}
		if err := m.Write(websocket.MessageBinary, second); err != nil {
			return err
		}
		return c.awaitReady()
	})
	if err != nil {
		return nil, err
	}
	if q, ok := m.(queueing); ok {
		q.SendThrough(c)
	}
	return c, nil
}

// queueing is a connection with its own queue, which must not be sent unsealed: a
// redial.Conn.
type queueing interface {
	SendThrough(l interface {
		Write(typ websocket.MessageType, p []byte) error
		CloseWrite() error
	})
}

// choose returns the key of the first offer that is one of Keys.
func (cl *Client) choose(offers []offer) (PublicKey, bool) {
	now := time.Now()
	for _, o := range offers {
		for _, k := range cl.cfg.Keys {
			if k.offer() == o && slices.Contains(cl.cfg.Suites, k.suite) && !ended(k.notAfter, now) {
				return k, true
			}
		}
	}
	return PublicKey{}, false
}

// answer derives the keys and returns the ClientHello.
func (cl *Client) answer(c *Conn, first []byte) (second []byte, ok bool) {
	hello, ok := parseServerHello(first)
	if !ok {
		return nil, false
	}
	k, ok := cl.choose(hello.offers)
	if !ok {
		return nil, false
	}
	info, err := binding{cl.cfg.Audience, cl.cfg.Origin, c.m.Subprotocol(), cl.cfg.Principal}.info(first)
	if err != nil {
		return nil, false
	}
	alg, _ := k.suite.algorithms()
	enc, x, err := hpke.NewSender(k.public, hpke.HKDFSHA256(), alg.aead, info)
	if err != nil {
		return nil, false
	}
	second = clientHello{k.offer(), enc}.bytes()
	c.in, c.out.out, err = directions(x, labelS2C, labelC2S, transcript(first, second), cl.psk(), alg.keySize)
	return second, err == nil
}

// control is the payload of a control record. Only the first record of a server is one.
type control struct {
	T   string `json:"t"`
	CID string `json:"cid"`
}

// awaitReady reads the record that proves the server has the same keys.
func (c *Conn) awaitReady() error {
	kind, p, err := c.next()
	if err != nil {
		return err
	}
	var ready control
	if kind != recordControl || json.Unmarshal(p, &ready) != nil || ready.T != "ready" || ready.CID == "" || len(ready.CID) > 128 {
		return c.fail()
	}
	c.id = ready.CID
	return nil
}
