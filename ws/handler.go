package ws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/securews/securews/middleware"
)

// Handler upgrades requests that pass every check and runs their connections. It is
// safe for concurrent use. The zero value refuses every request.
type Handler struct {
	cfg   Config
	front http.Handler // gate behind the access log; nil: the zero Handler
	start time.Time

	index                        *index
	wheel                        *wheel
	pingers, closers, recheckers *pool
	unfollow                     func()

	open       atomic.Int64 // connections, and handshakes on their way to one
	drainStart atomic.Int64 // 0: not draining
	explaining atomic.Int64 // connections that are there to say why they are refused
	awaited    atomic.Int64 // what Drain waits for: those of open, and of explaining before it began
	spending   atomic.Int64 // wrong requests whose single-use credentials are being used up
	spread     atomic.Int64 // over how long draining connections are closed
	hurry      atomic.Bool  // the drain's deadline has passed
	warned     atomic.Int64 // when a recheck's failure was last logged

	mu   sync.Mutex
	idle chan struct{} // made by Drain, closed when awaited is 0
}

// New compiles a configuration, or reports everything that is wrong with it.
func New(cfg Config) (*Handler, error) {
	cfg, err := cfg.compile()
	if err != nil {
		return nil, err
	}
	h := &Handler{cfg: cfg, start: time.Now(), index: newIndex()}
	h.wheel = &wheel{now: h.now, wake: (*Conn).wake}
	h.pingers = &pool{most: 64, task: (*Conn).sayDue}
	h.closers = &pool{most: 256, task: (*Conn).sendClose} // no ping to a stalled peer delays a revocation
	h.recheckers = &pool{most: 32, task: (*Conn).askAgain}
	h.front = middleware.AccessLog(cfg.Log)(http.HandlerFunc(h.serve))
	if cfg.ExplainRefusals {
		h.front = h.ExplainRefusals(h.front)
	}
	if cfg.Revocations != nil {
		h.unfollow = sync.OnceFunc(cfg.Revocations.Follow(h.revoked))
	}
	return h, nil
}

// now is the time the handler's deadlines are kept in: nanoseconds since it was
// made, by the monotonic clock, so that a step of the wall clock neither closes
// everybody nor keeps anybody for ever. It is never 0.
func (h *Handler) now() int64 { return 1 + int64(time.Since(h.start)) }

func (h *Handler) rechecks() bool { return h.cfg.Revocations != nil || h.cfg.Revalidate != nil }

// ServeHTTP refuses the request or upgrades it, and returns; the connection goes on
// without it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h == nil || h.front == nil {
		middleware.Refuse(w, r, errZero)
		return
	}
	h.front.ServeHTTP(w, h.cfg.Auth.Stripped(r)) // before any log, and before a subprotocol is chosen
}

// serve refuses, or upgrades and starts the connection.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	if err := h.admissible(r); err != nil {
		h.spend(r)
		middleware.Refuse(w, r, err)
		return
	}
	c, err := h.enter(w, r)
	if err != nil {
		middleware.Refuse(w, r, err)
		return
	}
	go c.run()
}

// maxSpending is how many wrong requests at once may ask what keeps single-use credentials:
// they take no place of Limits.Connections, and where it hangs they would pile up.
const maxSpending = 256

// spend uses up what is good once: a wrong use is a use.
func (h *Handler) spend(r *http.Request) {
	defer h.spending.Add(-1)
	if h.spending.Add(1) <= maxSpending {
		h.cfg.Auth.Consume(r)
	}
}

// enter takes a place, upgrades, and hands the place over to the connection. Every
// other way out of it, a panic too, gives the place back.
func (h *Handler) enter(w http.ResponseWriter, r *http.Request) (c *Conn, err error) {
	if err := h.capacity(h.open.Load()); err != nil {
		return nil, err
	}
	others := h.open.Add(1) - 1
	h.awaited.Add(1)
	defer func() {
		if c == nil {
			h.leave()
		}
	}()
	if err := h.capacity(others); err != nil { // again, now that the place is ours
		return nil, err
	}
	return h.upgrade(w, r)
}

// leave gives a place back.
func (h *Handler) leave() {
	h.open.Add(-1)
	h.gone()
}

// forget takes a connection off the books.
func (h *Handler) forget(c *Conn) {
	h.wheel.remove(c)
	h.index.remove(c)
	if c.refused {
		h.explained(c.awaited)
		return
	}
	h.leave()
}

// revoked ends the connections that a revocation reaches.
func (h *Handler) revoked(v middleware.Revocation) {
	for _, c := range h.index.covered(v) {
		c.endSoon(ErrRevoked)
	}
}

// run is a connection's goroutine.
func (c *Conn) run() {
	err := errGoexit // unless serve says otherwise: runtime.Goexit ends it too
	defer func() { c.finish(c.outcome(err)) }()
	err = c.serve()
}

var errGoexit = errors.New("ws: Serve called runtime.Goexit")

// serve calls the user's Serve and contains its panic.
func (c *Conn) serve() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = ErrInternal.Wrap(c.h.panicked(c, p))
		}
	}()
	if err := c.ended(); err != nil {
		return err // revoked while it was being upgraded
	}
	return c.h.cfg.Serve(c.ctx, c)
}

func (c *Conn) outcome(err error) *CloseError {
	if cause := c.cause.Load(); cause != nil {
		return cause
	}
	if err == nil {
		return ErrClosed
	}
	return closeErrorOr(err, ErrInternal)
}

var errPanic = errors.New("ws: panic")

// panicked logs a panic's stack, once. Of its value only what the runtime says is
// shown, otherwise the type: it may hold the payload (ASVS 16.2.5).
func (h *Handler) panicked(c *Conn, p any) error {
	value := fmt.Sprintf("%T", p)
	if e, ok := p.(runtime.Error); ok {
		value = e.Error()
	}
	h.cfg.Log.Error("ws: panic", "id", c.id, "panic", value, "stack", string(debug.Stack()))
	return errPanic
}

// logEnd writes the line of ASVS 16.3.3: who, how long, how it ended.
func (h *Handler) logEnd(c *Conn, cause *CloseError) {
	if c.refused {
		return // the request's line says it
	}
	level := slog.LevelInfo
	if cause.Code == ErrInternal.Code && !cause.fromPeer() {
		level = slog.LevelError
	}
	if !h.cfg.Log.Enabled(context.Background(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("id", c.id),
		slog.Any("principal", c.principal),
		slog.Int("code", int(cause.Code)),
		slog.String("reason", cause.Reason),
		slog.Duration("lasted", time.Duration(h.now()-c.opened)),
		slog.Int64("received", c.received.Load()),
		slog.Int64("sent", c.sent.Load()),
	}
	if cause.Err != nil {
		attrs = append(attrs, slog.Any("cause", cause.Err))
	}
	h.cfg.Log.LogAttrs(context.Background(), level, "websocket closed", attrs...)
}
