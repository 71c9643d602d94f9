package redial

import (
	"context"
	"errors"
	"io"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
)

// serveFunc is the callback of [Client.Run].
type serveFunc = func(context.Context, *Conn) error

// serve serves one connection and returns how it ended, when each of its goroutines has ended.
func (c *Conn) serve(ctx context.Context, cfg *Config, connect connector, serve serveFunc) ending {
	stop := context.AfterFunc(ctx, func() {
		c.link.end(&ws.CloseError{Code: websocket.StatusGoingAway, Err: context.Cause(ctx)})
	})
	defer stop()
	r := startRenewal(ctx, c, cfg, connect)
	returned := false
	defer func() {
		if !returned { // serve panicked
			c.link.end(ws.ErrInternal)
			r.stop()
			r.next.endUnused()
			c.link.workers.Wait()
		}
	}()
	cfg.OnState(State{Phase: Open, ID: c.id})
	cause := c.finish(c.converse(cfg.Greet, serve))
	returned = true
	c.link.workers.Wait()
	r.stop()
	c.out.reportRest()
	how := ending{cause: cause, opened: true, lived: c.link.lived, next: r.next}
	if then, _ := (history{}).follow(how, cfg); r.err != nil && then.do != doStop && r.next == nil {
		how.cause = Permanent(r.err) // the source has no new credential
	}
	return how
}

// converse runs Greet and serve.
func (c *Conn) converse(greet, serve serveFunc) error {
	if greet != nil {
		if err := greet(c.link.ctx, c); err != nil {
			return err
		}
	}
	c.link.workers.Go(c.out.sendQueue)
	return serve(c.link.ctx, c)
}

var errNilCloseError = errors.New("redial: run: serve returned a nil *CloseError")

// finish ends the connection, if it still lives, according to the result of serve, and
// returns the cause that decides: see [Client.Run].
func (c *Conn) finish(err error) error {
	if err == nil && c.link.ended() == nil {
		c.out.flush()
		c.out.closeWrite()
		c.link.end(&ws.CloseError{Code: websocket.StatusNormalClosure})
		return nil // even if the connection has ended meanwhile
	}
	var final *permanent
	var own *ws.CloseError
	if errors.As(err, &own) && own == nil {
		err = errNilCloseError
	}
	decides := err
	if c.replaced.Load() {
		<-c.link.over // serve may have failed because of the CloseWrite
	}
	switch {
	case err == nil:
		return c.finalCause()
	case errors.As(err, &own) && own.Validate() == nil:
		c.out.closeWrite()
		own = own.Wrap(own.Err) // a copy, to distinguish it from a cause that serve returned
	default:
		own = ws.ErrInternal.Wrap(err)
		decides = Permanent(err)
	}
	c.link.end(own)
	if errors.As(err, &final) || c.link.cause.Load() == own {
		return decides
	}
	return c.finalCause()
}

// finalCause returns the cause of the end: the renewal also if the server closed in answer
// to the CloseWrite, before this side had closed.
func (c *Conn) finalCause() error {
	if c.replaced.Load() && c.link.cause.Load().Err == io.EOF {
		return ErrRenewed
	}
	return c.link.ended()
}
