package seal

import (
	"context"
	"errors"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/internal/defaults"
	"github.com/securews/securews/internal/outqueue"
	"github.com/securews/securews/ws"
)

// Seal returns the configuration of a route with the messages sealed; cfg is that of the plain
// route. In it, Subprotocols name the applications (see [Server.Subprotocols]): without one no client can
// open a sealed connection, and [ws.New] returns an error. Serve is replaced: serve is called with the
// sealed connection, as by [Server.Serve].
//
// The rest of cfg is about the messages of the application, and not about their records: Limits.Message
// counts their bytes, Validate is called with them, Limits.QueueBytes and QueueMessages, if set, take the
// place of those of Config, and Timeouts.FirstMessage, if set, begins again when the keys are agreed. But
// the rates of Limits count the bytes of records, and the exchange of keys, too.
func (s *Server) Seal(cfg ws.Config, serve func(ctx context.Context, c ws.Connection) error) ws.Config {
	rules := route{limit: cfg.Limits.Message, validate: cfg.Validate}
	if rules.limit == 0 {
		rules.limit = defaults.Message
	}
	queue := outqueue.Load{Messages: cfg.Limits.QueueMessages, Bytes: cfg.Limits.QueueBytes}
	firstMessage := cfg.Timeouts.FirstMessage
	cfg.Validate = nil
	cfg.Subprotocols = s.Subprotocols(cfg.Subprotocols...)
	cfg.Serve = s.Serve(func(ctx context.Context, c *Conn) error {
		r := rules
		r.ctx, r.raw, c.route = ctx, c.m.(*ws.Conn), &r
		if queue.Bytes > 0 {
			c.out.most.Bytes = queue.Bytes
		}
		if queue.Messages > 0 {
			c.out.most.Messages = queue.Messages
		}
		if firstMessage > 0 {
			r.first = time.AfterFunc(firstMessage, func() { _ = c.m.Close(ws.ErrTimeout.Code, ws.ErrTimeout.Reason) })
			defer r.first.Stop()
		}
		return serve(ctx, c)
	})
	return cfg
}

// route has the rules of a route for the messages of one connection.
type route struct {
	ctx      context.Context // ends with the connection
	raw      *ws.Conn
	limit    int // bytes of a message
	validate func(ctx context.Context, typ websocket.MessageType, p []byte) error
	first    *time.Timer // until the first message must have come; nil: it need not
}

// check returns why a message ends the connection, nil if it does not.
func (r *route) check(typ websocket.MessageType, p []byte) error {
	if r.first != nil {
		r.first.Stop()
	}
	switch {
	case len(p) > r.limit:
		return ws.ErrTooBig
	case r.validate == nil:
		return nil
	}
	return r.validate(r.ctx, typ, p)
}

var errNilCloseError = errors.New("seal: Validate returned a nil *CloseError")

// invalid ends the connection by the error of a validation, as [ws.Config.Validate] documents it: the
// queue is sent or dropped as [ws.Conn.Send] says.
func (c *Conn) invalid(err error) error {
	end := closeErrorOf(err)
	if c.in != nil {
		c.in.erase()
	}
	if outqueue.Goes(int(end.Code)) {
		_ = c.closeWrite(end)
	}
	c.out.stop(end)
	c.route.raw.End(contextkey.Key(), end)
	c.readErr = end
	return end
}

func closeErrorOf(err error) *ws.CloseError {
	var end *ws.CloseError
	if !errors.As(err, &end) {
		return ws.ErrInvalid.Wrap(err)
	}
	if end == nil {
		return ws.ErrInternal.Wrap(errNilCloseError)
	}
	if wrong := end.Validate(); wrong != nil {
		return ws.ErrInternal.Wrap(wrong)
	}
	if err != error(end) {
		return end.Wrap(err) // with the text around it
	}
	return end
}
