package redial

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/securews/securews/ws"
)

// Client keeps one connection. It is safe for concurrent use. The zero value refuses.
type Client struct {
	cfg     Config
	client  *http.Client
	queue   *queue
	running atomic.Bool
}

var (
	errZero    = errors.New("redial: the zero Client: make one with New")
	errRunning = errors.New("redial: run: Run is under way already")
	errServe   = errors.New("redial: run: serve is nil")
)

// New compiles a configuration, or reports everything that is wrong with it.
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.compile()
	if err != nil {
		return nil, err
	}
	client := staying(cfg.HTTPClient)
	client.Timeout = 0
	return &Client{cfg: cfg, client: client, queue: newQueue(cfg.Limits)}, nil
}

// Run connects and calls serve for each connection, one at a time, until there is
// nothing to come back for. Then it returns: nil if serve did; ctx's cause; what serve
// or a [Source] returned; or what the server said, a [*ws.CloseError] or a
// [*HandshakeError].
//
// serve's context ends with the connection; its cause is the [ws.CloseError]. If serve
// returns while the connection lives, nil closes it with 1000 once what was queued is
// sent and ends Run; a *CloseError closes it with its code and is judged as if the
// server had sent it; any other error closes it with 1011 and ends Run. When the
// connection has ended before, its cause decides and not what serve returns, unless
// that is [Permanent].
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
	var err error = ws.ErrInternal // should serve panic
	defer func() {
		for _, m := range c.queue.stop() {
			c.undelivered(m, false, err)
		}
		c.cfg.OnState(State{Phase: Closed, Cause: err})
	}()
	err = c.run(ctx, serve)
	return err
}

func (c *Client) run(ctx context.Context, serve func(context.Context, *Conn) error) error {
	tries := newAttempts(c.cfg.Backoff)
	var conn *Conn // opened already, by a renewal
	for renew := false; ; {
		err := error(nil)
		if conn == nil {
			c.cfg.OnState(State{Phase: Connecting})
			conn, err = c.dial(ctx, ctx, renew)
		}
		lost := conn != nil
		if lost {
			old := conn
			conn, err = c.live(ctx, old, serve)
			if old.lived >= c.cfg.Timeouts.Stable {
				tries.succeeded()
			}
		}
		if conn != nil && err == error(ErrRenewed) {
			continue
		}
		v, err := c.decide(ctx, &tries, err, lost)
		if v.stop {
			conn.discard()
			return err
		}
		if conn != nil {
			continue
		}
		var none *noCredential
		renew = v.renew || renew && errors.As(err, &none) // what was refused is not shown again
		c.cfg.OnState(State{Phase: Waiting, Delay: v.wait, Cause: err})
		if err := sleep(ctx, v.wait); err != nil {
			return err
		}
	}
}

// decide says what follows from err, and with what Run ends if it is to.
func (c *Client) decide(ctx context.Context, tries *attempts, err error, lost bool) (verdict, error) {
	switch {
	case err == nil:
		return verdict{stop: true}, nil
	case ctx.Err() != nil:
		return verdict{stop: true}, context.Cause(ctx)
	}
	v := tries.judge(&c.cfg, err, lost)
	if v.stop {
		err = unmarked(err)
	}
	return v, err
}

// unmarked takes Permanent's mark off.
func unmarked(err error) error {
	if p, ok := err.(*permanent); ok {
		return p.error
	}
	return err
}

func (c *Client) undelivered(m queued, begun bool, cause error) {
	c.cfg.OnUndelivered(Undelivered{Type: m.typ, Payload: m.payload, Begun: begun, Cause: cause})
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// jittered is d less up to a fifth, so that what began together does not go on so.
func jittered(d time.Duration) time.Duration { return d - rand.N(d/5+1) }
