package ws

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware/live"
)

// run is a connection's goroutine: it calls serve, and finishes the connection.
func (c *Conn) run(serve func(context.Context, *Conn) error) {
	err := errGoexit // unless serve says otherwise: runtime.Goexit ends it too
	defer func() { c.finish(c.causeOr(err)) }()
	err = c.serve(serve)
}

var errGoexit = errors.New("ws: Serve called runtime.Goexit")

// serve calls the user's Serve and contains its panic.
func (c *Conn) serve(serve func(context.Context, *Conn) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			p := bounded.Panicked(v)
			c.rules.log.Error("ws: panic in Serve", "id", c.ID(), "cause", p, "stack", p.Stack) // once; the closing line has no stack
			err = ErrInternal.Wrap(p)
		}
	}()
	if err := c.ended(); err != nil {
		return err // revoked while it was being upgraded
	}
	c.greetPage()
	return serve(c.ctx, c)
}

// causeOr returns the cause of the end, or the one that the result of Serve stands for.
func (c *Conn) causeOr(err error) *CloseError {
	if cause := c.ending.cause.Load(); cause != nil {
		return cause
	}
	if err == nil {
		return ErrClosed
	}
	return closeErrorOr(err, ErrInternal)
}

// finish runs after Serve: close frame, the peer's answer, TCP, the books.
func (c *Conn) finish(cause *CloseError) {
	c.out.groups.end(&c.out)
	if cause.flushes() && c.ended() == nil {
		c.out.flush()
	}
	c.out.end(cause)
	c.ending.interrupt() // a reader that Serve left behind
	c.in.reading.Lock()
	c.ending.await(c.rules.timeouts.Close)
	if c.ending.abnormal() {
		c.ending.cut() // and a writer with it
	}
	c.out.finish()
	if !c.ending.abnormal() && c.in.guard.awaitClose() {
		_ = c.ending.conn.Close()
	} else {
		c.ending.cut()
	}
	c.in.finish()
	final := c.ending.cause.Load()
	c.logEnd(final)
	c.leave(final)
}

// leave takes the connection off the registry's books.
func (c *Conn) leave(final *CloseError) {
	c.out.report(true)
	if !c.rules.live.Watched() {
		c.binding.Leave(nil)
		return
	}
	c.binding.Leave(&live.Cause{Code: uint16(final.Code), Reason: final.Reason, Err: final.Err, Peer: final.fromPeer()})
}

// abandon gives back the place and the connection of a failed handshake.
func (c *Conn) abandon() {
	if c.cancel != nil {
		c.cancel(ErrClosed)
	}
	if c.ending.conn != nil { // it was hijacked: no HTTP can follow
		c.ending.cut()
	}
	c.binding.Leave(nil)
}

// logEnd writes the line of ASVS 16.3.3: which principal, how long, how it ended.
func (c *Conn) logEnd(cause *CloseError) {
	if c.ending.explains {
		return // the request's line says it
	}
	log := c.rules.log
	level := slog.LevelInfo
	if cause.Code == ErrInternal.Code && !cause.fromPeer() {
		level = slog.LevelError
	}
	if !log.Enabled(context.Background(), level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 8),
		slog.String("id", c.ID()),
		slog.Attr{Key: "principal", Value: c.binding.Shared(contextkey.Key()).LogValue()},
		slog.Int("code", int(cause.Code)),
		slog.String("reason", cause.Reason),
		slog.Duration("lasted", time.Duration(c.now()-c.binding.Opened())),
		slog.Int64("received", c.traffic.received.Load()),
		slog.Int64("sent", c.traffic.sent.Load()),
	)
	if cause.Err != nil {
		attrs = append(attrs, slog.Any("cause", cause.Err))
	}
	log.LogAttrs(context.Background(), level, "websocket closed", attrs...)
}
