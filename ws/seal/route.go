package seal

import (
	"context"
	"errors"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/defaults"
	"github.com/securews/securews/ws"
)

// longestHello is how long the answer of a client to the offer of keys may be: that with XWing.
const longestHello = 1140

// Seal returns the configuration of a route with the messages sealed; cfg is that of the plain
// route. In it, Subprotocols name the applications (see [Server.Subprotocols]), Limits.Message counts
// bytes of the application, and Validate is called with its messages, not with their records. Serve is
// replaced: serve is called with the sealed connection, as by [Server.Serve].
func (s *Server) Seal(cfg ws.Config, serve func(ctx context.Context, c ws.Connection) error) ws.Config {
	if cfg.Limits.Message == 0 {
		cfg.Limits.Message = defaults.Message
	}
	limit, validate := cfg.Limits.Message, cfg.Validate
	if limit > 0 { // ws.New reports others
		cfg.Limits.Message = max(limit+Overhead, longestHello)
	}
	cfg.Validate = nil
	cfg.Subprotocols = s.Subprotocols(cfg.Subprotocols...)
	cfg.Serve = s.Serve(func(ctx context.Context, c *Conn) error {
		c.validate = func(typ websocket.MessageType, p []byte) error {
			switch {
			case len(p) > limit:
				return ws.ErrTooBig
			case validate == nil:
				return nil
			}
			return validate(ctx, typ, p)
		}
		return serve(ctx, c)
	})
	return cfg
}

// invalid ends the connection by the error of a validation, as [ws.Config.Validate] documents it.
func (c *Conn) invalid(err error) error {
	var end *ws.CloseError
	switch {
	case !errors.As(err, &end):
		end = ws.ErrInvalid.Wrap(err)
	case end == nil || end.Validate() != nil:
		end = ws.ErrInternal.Wrap(err)
	}
	if c.in != nil {
		c.in.erase()
	}
	c.out.stop(end)
	_ = c.m.Close(end.Code, end.Reason)
	c.readErr = end
	return end
}
