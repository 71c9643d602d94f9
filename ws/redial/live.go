package redial

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
)

// ErrRenewed ends a connection whose successor, with a new credential, is open.
var ErrRenewed = &ws.CloseError{Code: websocket.StatusNormalClosure, Reason: "renewed", Err: io.EOF}

// live is one connection's life: it returns when every goroutine of the connection
// has ended, with what Run has to judge, and the connection a renewal has opened.
func (c *Client) live(ctx context.Context, conn *Conn, serve func(context.Context, *Conn) error) (next *Conn, err error) {
	stop := context.AfterFunc(ctx, func() {
		conn.end(&ws.CloseError{Code: websocket.StatusGoingAway, Err: context.Cause(ctx)})
	})
	defer stop()
	r := c.startRenewal(ctx, conn)
	settled := false
	defer func() {
		if !settled { // serve panics
			conn.end(ws.ErrInternal)
			r.stop()
			r.next.discard()
			conn.workers.Wait()
		}
	}()
	c.cfg.OnState(State{Phase: Connected, ID: conn.id})
	err = conn.settle(conn.converse(serve))
	settled = true
	conn.workers.Wait()
	r.stop()
	for _, m := range c.queue.take(conn) {
		c.undelivered(m, false, conn.ended())
	}
	if r.err != nil && err != nil && r.next == nil && c.comesBack(err) {
		err = Permanent(r.err) // there will be no new credential
	}
	return r.next, err
}

// comesBack reports whether err is one after which Run would dial.
func (c *Client) comesBack(err error) bool {
	tries := newAttempts(c.cfg.Backoff)
	return !tries.judge(&c.cfg, err, true).stop
}

// converse runs the application's part.
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

// settle ends the connection for what serve returned, where it lives still, and
// returns what decides: see [Client.Run].
func (c *Conn) settle(err error) error {
	if err == nil && c.ended() == nil {
		c.flush()
		c.closeWrite()
		c.end(&ws.CloseError{Code: websocket.StatusNormalClosure})
		return nil // whatever came in between
	}
	var final *permanent
	var own *ws.CloseError
	if errors.As(err, &own) && own == nil {
		err = errNilCloseError
	}
	decides := err
	if c.retiring.Load() {
		<-c.over // serve may have stumbled over the goodbye
	}
	switch {
	case err == nil:
		return c.outcome()
	case errors.As(err, &own) && own.Validate() == nil:
		c.closeWrite()
		own = &ws.CloseError{Code: own.Code, Reason: own.Reason, Err: own.Err} // told from a cause that serve passes on
	default:
		own = &ws.CloseError{Code: ws.ErrInternal.Code, Reason: ws.ErrInternal.Reason, Err: err}
		decides = Permanent(err)
	}
	c.end(own)
	if errors.As(err, &final) || c.cause.Load() == own {
		return decides
	}
	return c.outcome()
}

// outcome is how the connection has ended: by a renewal also where the server answered the
// goodbye before we had closed.
func (c *Conn) outcome() error {
	if c.retiring.Load() && c.cause.Load().Err == io.EOF {
		return ErrRenewed
	}
	return c.ended()
}

// flush waits until everything queued is written, as long as that may take.
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
	err      error // why there will be none
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
			conn.retire()
		}
	}()
	return r
}

// renewIn is when to replace a credential, but not before its connection counts as a
// success.
func (c *Client) renewIn(cred *Credential) (time.Duration, bool) {
	left := time.Until(cred.Expires)
	wait := left / 10 * 9
	switch {
	case !cred.Renew.IsZero():
		wait = time.Until(cred.Renew)
	case cred.Expires.IsZero():
		return 0, false
	}
	wait = max(c.cfg.Timeouts.Stable, jittered(max(wait, 0)))
	return wait, cred.Expires.IsZero() || wait < left
}

// renew dials until it succeeds, ctx ends or there is nothing to try again for.
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
		v := tries.judge(&c.cfg, err, false)
		if v.stop {
			return nil, unmarked(err)
		}
		wait = v.wait
	}
}

// stop waits for the dial under way, if there is one, to be given up. A Source's panic
// goes on here, where Run's caller can recover it, as that of a first dial does.
func (r *renewal) stop() {
	r.cancel()
	<-r.done
	if r.panicked != nil {
		panic(r.panicked)
	}
}
