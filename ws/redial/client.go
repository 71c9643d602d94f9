package redial

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/securews/securews/ws"
)

// Client keeps one connection open. It is safe for concurrent use. The zero value refuses
// every call.
type Client struct {
	cfg     Config
	dialer  dialer
	conns   connConfig
	queue   *queue
	running atomic.Bool

	outgoing atomic.Int64 // bytes of the largest message that the server accepts, as last known
}

var (
	errZero    = errors.New("redial: the zero Client: make one with New")
	errRunning = errors.New("redial: run: already running")
	errServe   = errors.New("redial: run: serve is nil")
)

// New compiles a configuration, or returns an error that lists every problem in it.
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.compile()
	if err != nil {
		return nil, err
	}
	client := withoutRedirects(cfg.HTTPClient)
	client.Timeout = 0
	c := &Client{cfg: cfg, queue: newQueue(cfg.Limits)}
	c.dialer = dialer{cfg: &c.cfg, client: client}
	c.conns = connConfig{limits: cfg.Limits, timeouts: cfg.Timeouts, queue: c.queue, report: cfg.OnUndelivered}
	c.outgoing.Store(int64(cfg.Limits.Outgoing))
	return c, nil
}

// Run connects and calls serve for each connection, one at a time, until a reconnect
// cannot help. It returns nil if serve returned nil; else the cause of ctx, the error of
// serve or of a [Source], or the server's answer: a [*ws.CloseError] or a
// [*HandshakeError].
//
// The context of serve ends with the connection; its cause is the [ws.CloseError]. If serve
// returns while the connection lives, nil closes it with 1000 once the queued messages are
// sent, and ends Run; a *CloseError closes it with its code and is treated as if the server
// had sent it; any other error closes it with 1011 and ends Run. If the connection has
// ended before, its cause decides and the result of serve is ignored, unless that is
// [Permanent].
//
// Nothing of the client runs after Run has returned: Run waits for the Source, for serve and for
// [Layer].CloseWrite.
func (c *Client) Run(ctx context.Context, serve func(ctx context.Context, c *Conn) error) error {
	switch {
	case c == nil || c.queue == nil:
		return errZero
	case serve == nil:
		return errServe
	case !c.running.CompareAndSwap(false, true):
		return errRunning
	}
	defer c.running.Store(false)
	c.queue.start()
	var err error = ws.ErrInternal // if serve panics
	defer func() {
		c.conns.closing.Wait()
		for _, m := range c.queue.stop() {
			c.cfg.OnUndelivered(undelivered(m, false, err))
		}
		c.cfg.OnState(State{Phase: Closed, Cause: err})
	}()
	err = c.run(ctx, serve)
	return err
}

// run connects, serves, and reacts to the ending, until the reaction is to stop.
func (c *Client) run(ctx context.Context, serve serveFunc) error {
	var past history
	var conn *Conn // already opened, by a renewal
	for {
		how := c.attempt(ctx, conn, past.renew, serve)
		var then next
		then, past = past.follow(how, &c.cfg)
		switch then.do {
		case doStop:
			how.next.endUnused()
			return unmarked(how.cause)
		case doRetry, doRenew:
			delay := then.delay()
			c.cfg.OnState(State{Phase: Waiting, Delay: delay, Cause: how.cause})
			if err := pause(ctx, delay); err != nil {
				return err
			}
		case doServe:
		}
		conn = how.next
	}
}

// attempt opens a connection, unless conn is one, and serves it.
func (c *Client) attempt(ctx context.Context, conn *Conn, renew bool, serve serveFunc) ending {
	if conn == nil {
		c.cfg.OnState(State{Phase: Connecting})
		var err error
		if conn, err = c.connect(ctx, ctx, renew); err != nil {
			return ending{cause: err}.within(ctx)
		}
	}
	return conn.serve(ctx, &c.cfg, c.connect, serve).within(ctx)
}

// connect opens a connection. ctx bounds the dial, life the connection.
func (c *Client) connect(ctx, life context.Context, renew bool) (*Conn, error) {
	d, err := c.dialer.dial(ctx, renew)
	if err != nil {
		return nil, err
	}
	conn := newConn(life, d, &c.conns)
	c.outgoing.Store(int64(conn.out.most))
	return conn, nil
}
