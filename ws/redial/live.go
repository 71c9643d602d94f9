package redial

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
)

// ErrRenewed is the cause of a connection that ended because its successor, with a new
// credential, is open.
var ErrRenewed = &ws.CloseError{Code: websocket.StatusNormalClosure, Reason: "renewed", Err: io.EOF}

// live serves one connection. When every goroutine of the connection has ended, it returns
// the error that decides whether Run reconnects, and the connection that a renewal has
// opened.
func (c *Client) live(ctx context.Context, conn *Conn, serve func(context.Context, *Conn) error) (next *Conn, err error) {
	stop := context.AfterFunc(ctx, func() {
		conn.end(&ws.CloseError{Code: websocket.StatusGoingAway, Err: context.Cause(ctx)})
	})
	defer stop()
	r := c.startRenewal(ctx, conn)
	finished := false
	defer func() {
		if !finished { // serve panicked
			conn.end(ws.ErrInternal)
			r.stop()
			r.next.endUnused()
			conn.workers.Wait()
		}
	}()
	c.cfg.OnState(State{Phase: Open, ID: conn.id})
	err = conn.finish(conn.converse(serve))
	finished = true
	conn.workers.Wait()
	r.stop()
	if !conn.answered() {
		for _, m := range conn.unconfirmed.list {
			c.unconfirmed(m, conn.ended())
		}
	}
	for _, m := range c.queue.take(conn) {
		c.undelivered(m, false, conn.ended())
	}
	if r.err != nil && err != nil && r.next == nil && c.comesBack(err) {
		err = Permanent(r.err) // the source has no new credential
	}
	return r.next, err
}

// comesBack reports whether Run would dial after err.
func (c *Client) comesBack(err error) bool {
	tries := newAttempts(c.cfg.Backoff)
	return !tries.decide(&c.cfg, err, true).stop
}

// converse runs Greet and serve.
func (c *Conn) converse(serve func(context.Context, *Conn) error) error {
	if greet := c.client.cfg.Greet; greet != nil {
		if err := greet(c.ctx, c); err != nil {
			return err
		}
	}
	c.workers.Go(c.send)
	return serve(c.ctx, c)
}

var errNilCloseError = errors.New("redial: run: serve returned a nil *CloseError")

// finish ends the connection, if it still lives, according to the result of serve, and
// returns the error that decides: see [Client.Run].
func (c *Conn) finish(err error) error {
	if err == nil && c.ended() == nil {
		c.flush()
		c.closeWrite()
		c.end(&ws.CloseError{Code: websocket.StatusNormalClosure})
		return nil // even if the connection has ended meanwhile
	}
	var final *permanent
	var own *ws.CloseError
	if errors.As(err, &own) && own == nil {
		err = errNilCloseError
	}
	decides := err
	if c.replaced.Load() {
		<-c.over // serve may have failed because of the CloseWrite
	}
	switch {
	case err == nil:
		return c.finalCause()
	case errors.As(err, &own) && own.Validate() == nil:
		c.closeWrite()
		own = &ws.CloseError{Code: own.Code, Reason: own.Reason, Err: own.Err} // a copy, to distinguish it from a cause that serve returned
	default:
		own = &ws.CloseError{Code: ws.ErrInternal.Code, Reason: ws.ErrInternal.Reason, Err: err}
		decides = Permanent(err)
	}
	c.end(own)
	if errors.As(err, &final) || c.cause.Load() == own {
		return decides
	}
	return c.finalCause()
}

// finalCause returns the cause of the end: the renewal also if the server closed in answer
// to the CloseWrite, before this side had closed.
func (c *Conn) finalCause() error {
	if c.replaced.Load() && c.cause.Load().Err == io.EOF {
		return ErrRenewed
	}
	return c.ended()
}

// flush waits until the queue is empty, for at most Timeouts.Write.
func (c *Conn) flush() {
	t := time.NewTimer(c.client.cfg.Timeouts.Write)
	defer t.Stop()
	select {
	case <-c.client.queue.whenEmpty():
	case <-c.over:
	case <-t.C:
	}
}

// renewal opens a connection's successor before its credential expires.
type renewal struct {
	cancel context.CancelFunc
	done   chan struct{}

	// Set when done is closed.
	next     *Conn
	err      error // why there is none
	panicked any   // by the Source
}

func (c *Client) startRenewal(ctx context.Context, conn *Conn) *renewal {
	r := &renewal{done: make(chan struct{}), cancel: func() {}}
	wait, ok := c.renewIn(&conn.credential)
	if !ok {
		close(r.done)
		return r
	}
	during, cancel := context.WithCancel(ctx)
	r.cancel = cancel
	go func() {
		defer close(r.done)
		defer func() {
			if r.panicked = recover(); r.panicked != nil {
				conn.end(ws.ErrInternal)
			}
		}()
		if r.next, r.err = c.renew(during, ctx, wait); r.next != nil {
			conn.endReplaced()
		}
	}()
	return r
}

// renewIn returns the time until a credential is to be replaced. That is not before its
// connection counts as a success, or if the credential ends earlier, not before most of its
// life is over.
func (c *Client) renewIn(cred *Credential) (time.Duration, bool) {
	left := time.Until(cred.Expires)
	wait := left / 10 * 9
	switch {
	case !cred.Renew.IsZero():
		wait = time.Until(cred.Renew)
	case cred.Expires.IsZero():
		return 0, false
	}
	least := c.cfg.Timeouts.Stable
	if !cred.Expires.IsZero() {
		least = min(least, max(acceptedAfter, left/10*7))
	}
	wait = max(least, jittered(max(wait, 0)))
	return wait, cred.Expires.IsZero() || wait < left
}

// renew dials until it succeeds, ctx ends or another attempt cannot help.
func (c *Client) renew(ctx, life context.Context, wait time.Duration) (*Conn, error) {
	tries := newAttempts(c.cfg.Backoff)
	for {
		if sleep(ctx, wait) != nil {
			return nil, nil
		}
		conn, err := c.dial(ctx, life, true)
		if err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, nil
		}
		d := tries.decide(&c.cfg, err, false)
		if d.stop {
			return nil, unmarked(err)
		}
		wait = d.wait
	}
}

// stop cancels the dial in progress, if there is one, and waits for its end. A panic of the
// Source continues here, so that the caller of Run can recover it, as that of a first dial.
func (r *renewal) stop() {
	r.cancel()
	<-r.done
	if r.panicked != nil {
		panic(r.panicked)
	}
}
