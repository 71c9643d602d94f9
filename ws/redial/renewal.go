package redial

import (
	"context"
	"time"

	"github.com/securews/securews/ws"
)

// connector opens a connection. ctx bounds the dial, life the connection.
type connector func(ctx, life context.Context, renew bool) (*Conn, error)

// renewal opens a connection's successor before its credential expires.
type renewal struct {
	cfg     *Config
	connect connector
	cancel  context.CancelFunc
	done    chan struct{}

	// Set when done is closed.
	next     *Conn
	err      error // why there is none
	panicked any   // by the Source
}

// startRenewal waits and dials in a goroutine of its own, until stop.
func startRenewal(ctx context.Context, conn *Conn, cfg *Config, connect connector) *renewal {
	r := &renewal{cfg: cfg, connect: connect, done: make(chan struct{}), cancel: func() {}}
	wait, ok := renewIn(&conn.credential, cfg.Timeouts.Stable)
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
				conn.link.end(ws.ErrInternal)
			}
		}()
		if r.next, r.err = r.dial(during, ctx, wait); r.next != nil {
			conn.endReplaced()
		}
	}()
	return r
}

// renewIn returns the time until a credential is to be replaced. That is not before its
// connection counts as a success, or if the credential ends earlier, not before most of its
// life is over.
func renewIn(cred *Credential, stable time.Duration) (time.Duration, bool) {
	left := time.Until(cred.Expires)
	wait := left / 10 * 9
	switch {
	case !cred.Renew.IsZero():
		wait = time.Until(cred.Renew)
	case cred.Expires.IsZero():
		return 0, false
	}
	if !cred.Expires.IsZero() {
		stable = min(stable, max(acceptedAfter, left/10*7))
	}
	wait = max(stable, jittered(max(wait, 0)))
	return wait, cred.Expires.IsZero() || wait < left
}

// dial dials until it succeeds, ctx ends or another attempt cannot help.
func (r *renewal) dial(ctx, life context.Context, wait time.Duration) (*Conn, error) {
	var past history
	for {
		if pause(ctx, wait) != nil {
			return nil, nil
		}
		conn, err := r.connect(ctx, life, true)
		if err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, nil
		}
		var then next
		if then, past = past.follow(ending{cause: err}, r.cfg); then.do == doStop {
			return nil, unmarked(err)
		}
		wait = then.delay()
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

// replacedGrace is short, because the successor is not served before the end. Messages that
// are still queued then are sent over the successor.
const replacedGrace = 2 * time.Second

// endReplaced ends a connection whose successor is open.
func (c *Conn) endReplaced() {
	late := time.AfterFunc(replacedGrace, func() { c.link.end(ErrRenewed) })
	defer late.Stop()
	c.out.flush()
	c.replaced.Store(true)
	c.out.closeWrite()
	c.link.end(ErrRenewed)
}
