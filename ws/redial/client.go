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

// Client keeps one connection open. It is safe for concurrent use. The zero value refuses
// every call.
type Client struct {
	cfg     Config
	client  *http.Client
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
	c := &Client{cfg: cfg, client: client, queue: newQueue(cfg.Limits)}
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
	var conn *Conn // already opened, by a renewal
	for renew := false; ; {
		err := error(nil)
		if conn == nil {
			c.cfg.OnState(State{Phase: Connecting})
			conn, err = c.dial(ctx, ctx, renew)
		}
		opened := conn != nil
		if opened {
			old := conn
			conn, err = c.live(ctx, old, serve)
			if old.lived >= c.successAfter(err) {
				tries.succeeded()
			}
		}
		if conn != nil && err == error(ErrRenewed) {
			continue
		}
		d, err := c.decide(ctx, &tries, err, opened)
		if d.stop {
			conn.endUnused()
			return err
		}
		if conn != nil {
			continue
		}
		var none *noCredential
		renew = d.renew || renew && errors.As(err, &none) // a refused credential is not sent again
		c.cfg.OnState(State{Phase: Waiting, Delay: d.wait, Cause: err})
		if err := sleep(ctx, d.wait); err != nil {
			return err
		}
	}
}

// acceptedAfter is the age at which a connection shows that its credential was accepted.
const acceptedAfter = time.Second

// successAfter returns the age at which a connection that ended with err counts as a success.
// The life of a credential may be shorter than Timeouts.Stable: a connection that has lived
// until its end did not fail.
func (c *Client) successAfter(err error) time.Duration {
	var closed *ws.CloseError
	if errors.As(err, &closed) && closed.Code == ws.ErrExpired.Code {
		return min(acceptedAfter, c.cfg.Timeouts.Stable)
	}
	return c.cfg.Timeouts.Stable
}

// decide returns the decision that follows from err, and the error of Run if it stops.
func (c *Client) decide(ctx context.Context, tries *attempts, err error, opened bool) (decision, error) {
	switch {
	case err == nil:
		return decision{stop: true}, nil
	case ctx.Err() != nil:
		return decision{stop: true}, context.Cause(ctx)
	}
	d := tries.decide(&c.cfg, err, opened)
	if d.stop {
		err = unmarked(err)
	}
	return d, err
}

// unmarked removes the mark of Permanent.
func unmarked(err error) error {
	if p, ok := err.(*permanent); ok {
		return p.error
	}
	return err
}

func (c *Client) undelivered(m queued, begun bool, cause error) {
	c.cfg.OnUndelivered(Undelivered{Type: m.typ, Payload: m.payload, Begun: begun, Unconfirmed: begun, Cause: cause})
}

// unconfirmed reports a message that was written to a connection that has ended.
func (c *Client) unconfirmed(m queued, cause error) {
	c.cfg.OnUndelivered(Undelivered{Type: m.typ, Payload: m.payload, Unconfirmed: true, Cause: cause})
}

// BufferedAmount returns the bytes of the messages that wait to be sent.
func (c *Client) BufferedAmount() int {
	if c == nil || c.queue == nil {
		return 0
	}
	return c.queue.buffered()
}

// Room waits until Send would queue a message of n bytes. It returns the cause of ctx, or
// [ErrStopped] after Run has ended, or [ErrTooBig] or [ErrQueueFull] if there will never be room.
func (c *Client) Room(ctx context.Context, n int) error {
	if c == nil || c.queue == nil {
		return errZero
	}
	if err := checkSize(n, int(c.outgoing.Load())); err != nil {
		return err
	}
	for {
		changed, err := c.queue.room(n)
		if err != nil || changed == nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
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

// jittered returns d less up to a fifth, so that clients that started together spread out.
func jittered(d time.Duration) time.Duration { return d - rand.N(d/5+1) }
