package seal

import (
	"context"
	"crypto/hpke"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
)

// helloTimeout bounds the peer's part of the key exchange.
const helloTimeout = 5 * time.Second

var errNoKey = errors.New("seal: the ring has no key of Suites that has not expired")

// Server seals the connections of a [ws.Handler]. It is safe for concurrent use. The
// zero value refuses every connection.
type Server struct {
	cfg Config     // without its PSK
	psk func() PSK // fmt calls no methods of unexported fields, and cannot print a func's result
}

// NewServer compiles a configuration, or returns an error that lists every problem in it.
func NewServer(cfg Config) (*Server, error) {
	cfg, err := cfg.compile()
	if err != nil {
		return nil, err
	}
	psk := cfg.PSK
	cfg.PSK = nil
	return &Server{cfg, func() PSK { return psk }}, nil
}

// Subprotocols returns the value of ws.Config.Subprotocols for the applications. Without one it is a
// value that [ws.New] refuses, because no client could open a sealed connection.
func (s *Server) Subprotocols(apps ...string) []string { return s.cfg.Policy.subprotocols(apps...) }

// Serve returns a function for ws.Config.Serve. It calls Accept, then serve, and if that
// returns nil or a [ws.CloseError], [Conn.CloseWrite].
func (s *Server) Serve(serve func(ctx context.Context, c *Conn) error) func(context.Context, *ws.Conn) error {
	return func(ctx context.Context, raw *ws.Conn) error {
		c, err := s.Accept(ctx, raw)
		if err != nil {
			return err
		}
		err = serve(ctx, c)
		var end *ws.CloseError
		if err == nil || errors.As(err, &end) {
			_ = c.CloseWrite()
		}
		return err
	}
}

// Accept exchanges keys with the client and sends the record that proves that it has
// them. If the peer has not answered after 5 s, the connection is closed with [ws.ErrTimeout]. Every other mistake of
// the peer closes it with [ErrDecrypt]. If the connection ends before the keys are agreed,
// the error matches io.ErrUnexpectedEOF, as in [Conn.Read]. If every key of the ring has expired,
// or none is of a suite in Suites, it is an error that leaves the connection open. A caller of
// Accept must end the connection with [Conn.Close].
//
// ws.Limits.Message is about messages, and [ws.New] makes room for their records, but also for the largest
// hello of 1,140 bytes: even with a lower limit a message of up to 1,122 bytes is read. ws.Config.Validate
// is called with hellos and sealed records. [Server.Seal] sees to both.
func (s *Server) Accept(ctx context.Context, raw *ws.Conn) (*Conn, error) {
	who := ""
	if s.cfg.Principal != nil {
		who = s.cfg.Principal(raw.Principal())
	}
	return s.accept(ctx, raw, raw.ID(), raw.Origin(), who)
}

func (s *Server) accept(ctx context.Context, m Messages, id, origin, principal string) (*Conn, error) {
	c := newConn(m, s.cfg.QueueBytes, s.cfg.QueueMessages)
	c.id = id
	if !strings.HasPrefix(m.Subprotocol(), ws.SealedPrefix) {
		if s.cfg.Policy == DangerouslyOptional {
			return c, nil
		}
		return nil, refused(m)
	}
	if s.cfg.Keys == nil {
		return nil, refused(m) // the zero Server
	}
	keys := s.cfg.Keys.offered(s.cfg.Suites)
	if len(keys) == 0 {
		return nil, errNoKey
	}
	hello := serverHello{}
	_, _ = rand.Read(hello.random[:]) // never fails
	for _, k := range keys {
		hello.offers = append(hello.offers, k.Public().offer())
	}
	first := hello.bytes()
	v := binding{s.cfg.Audience, origin, m.Subprotocol(), principal}

	err := inTime(ctx, m, func() error {
		if err := m.Write(websocket.MessageBinary, first); err != nil {
			return err
		}
		typ, second, err := m.Read()
		if err != nil {
			return err
		}
		if typ != websocket.MessageBinary || !c.agree(keys, v, first, second, s.psk()) {
			return refused(m)
		}
		ready, _ := json.Marshal(control{"ready", id}) // strings only
		return c.out.write(recordControl, ready)
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// agree derives the keys from the ClientHello; it returns false if that is not a valid
// answer to the ServerHello.
func (c *Conn) agree(keys []Key, v binding, first, second []byte, psk PSK) bool {
	hello, ok := parseClientHello(second)
	if !ok {
		return false
	}
	for _, k := range keys {
		if k.Public().offer() != hello.offer {
			continue
		}
		info, err := v.info(first)
		if err != nil {
			return false
		}
		alg, _ := k.suite.algorithms()
		x, err := hpke.NewRecipient(hello.enc, k.private(), hpke.HKDFSHA256(), alg.aead, info)
		if err != nil {
			return false
		}
		c.in, c.out.out, err = directions(x, labelC2S, labelS2C, transcript(first, second), psk, alg.keySize)
		return err == nil
	}
	return false
}

// inTime runs the exchange of hellos. When ctx ends, or after helloTimeout, it closes the
// connection; it also does so if the exchange fails. An end during the exchange is
// unannounced.
func inTime(ctx context.Context, m Messages, exchange func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, helloTimeout, ws.ErrTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		code, reason := websocket.StatusGoingAway, ""
		if context.Cause(ctx) == ws.ErrTimeout {
			code, reason = ws.ErrTimeout.Code, ws.ErrTimeout.Reason
		}
		_ = m.Close(code, reason)
	})
	err := exchange()
	intime := stop()
	if err == ErrDecrypt || err == nil && intime {
		return err
	}
	if !intime {
		var seen *ws.CloseError
		if err = context.Cause(ctx); err == ws.ErrTimeout || !errors.As(err, &seen) {
			return err // of the caller's context
		}
	}
	_ = m.Close(websocket.StatusGoingAway, "") // the caller has no Conn to close it with
	end := ending(err, io.ErrUnexpectedEOF)
	if end.Code != websocket.StatusAbnormalClosure {
		end.Err = io.ErrUnexpectedEOF // without the causes behind it
	}
	return unannounced{end}
}
