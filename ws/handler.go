package ws

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

// Handler upgrades requests that pass every check and runs their connections. It is
// safe for concurrent use. The zero value refuses every request.
//
// It owns no connection: those are bound to the principals that opened them in Config.Live,
// which counts, bounds and ends them.
type Handler struct {
	cfg         Config
	front       http.Handler // serve behind the access log; nil: the zero Handler
	authorizing bounded.Caller

	messageRate, byteRate, controlRate rate // of each connection

	limits []string // the value of Securews-Limits

	pingers, closers *pool
	senders          *senders
}

// New compiles a configuration, or reports everything that is wrong with it.
func New(cfg Config) (*Handler, error) {
	cfg, err := cfg.compile()
	if err != nil {
		return nil, err
	}
	h := &Handler{cfg: cfg, authorizing: bounded.NewCaller(nil)}
	limits := &h.cfg.Limits
	h.messageRate = newRate(limits.MessagesPerSecond, limits.MessageBurst)
	h.byteRate = newRate(limits.BytesPerSecond, limits.ByteBurst)
	h.controlRate = newRate(limits.ControlPerSecond, min(10*min(limits.ControlPerSecond, 1<<20), 1<<20))
	h.limits = []string{limits.named()}
	h.pingers = newPool(64, (*Conn).sendDue)
	h.senders = newSenders((*Conn).sendQueued)
	h.closers = newPool(256, (*Conn).sendClose) // no ping to a stalled peer delays a revocation
	// Stripped before a subprotocol is chosen; the AccessLog writes no credential.
	h.front = middleware.AccessLog(cfg.Log)(cfg.Auth.Strip(http.HandlerFunc(h.serve)))
	if cfg.ExplainRefusals {
		h.front = h.ExplainRefusals(h.front)
	}
	return h, nil
}

func (h *Handler) now() int64 { return h.cfg.Live.Now() }

// ServeHTTP refuses the request or upgrades it, and returns; the connection goes on
// without it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h == nil || h.front == nil {
		middleware.Refuse(w, r, errZero)
		return
	}
	h.front.ServeHTTP(w, r)
}

// serve refuses a stripped request, or upgrades it and starts the connection.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	hs, err := h.parse(r)
	if err != nil {
		h.cfg.Auth.Consume(r) // an invalid request consumes its ticket
		h.refuse(w, r, err)
		return
	}
	c, err := h.open(w, r, hs)
	switch {
	case errors.Is(err, errAnswered):
		h.abort(r, err)
	case err != nil:
		h.refuse(w, r, err)
	default:
		go c.run()
	}
}

// abort ends a request whose answer has begun and cannot be completed.
func (h *Handler) abort(r *http.Request, err error) {
	if !h.logPanic(r, err) {
		h.cfg.Log.Error("ws: an upgrade failed after its 101", "id", middleware.RequestID(r.Context()), "cause", err)
	}
	panic(http.ErrAbortHandler)
}

// logPanic logs the panic in err that no refusal shows; false if there is none.
func (h *Handler) logPanic(r *http.Request, err error) bool {
	p, ok := errors.AsType[*bounded.PanicError](err)
	if ok {
		h.cfg.Log.Error("ws: panic during the upgrade", "id", middleware.RequestID(r.Context()), "cause", err, "stack", p.Stack)
	}
	return ok
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	reason := middleware.ReasonInternal
	if f, ok := errors.AsType[*middleware.Refusal](err); ok && f != nil {
		reason = f.Reason
	}
	h.cfg.Live.Refused(reason)
	middleware.Refuse(w, r, err)
}

// open takes a place in the registry, authenticates, and upgrades. Every way out of
// it but the last, a panic too, gives the place back.
func (h *Handler) open(w http.ResponseWriter, r *http.Request, hs handshake) (_ *Conn, err error) {
	defer bounded.Contain(&err)
	c := &Conn{h: h, origin: hs.origin, subprotocol: hs.subprotocol, pulse: pulseOf(r, h.cfg.Limits.Message)}
	deadline := time.Now().Add(handshakeTimeout)
	if layer, ok := r.Context().Value(contextkey.Layer{}).(contextkey.Yielder); ok {
		layer.Yield(contextkey.Key(), h.cfg.Auth) // the connection counts once, and ends by its own member
	}
	if err := h.cfg.Live.Reserve(&c.binding, r); err != nil {
		return nil, err
	}
	opened := false
	defer func() {
		if !opened {
			c.abandon()
		}
	}()
	if err := canHijack(w); err != nil {
		return nil, err
	}
	if !h.cfg.Auth.BoundsItself(contextkey.Key()) {
		ctx, cancel := bounded.WithDeadline(r.Context(), deadline)
		defer cancel()
		r = r.WithContext(ctx)
	}
	v, err := h.cfg.Auth.Vouch(contextkey.Key(), r)
	if err != nil {
		return nil, err
	}
	c.init(r, v)
	if err := h.bind(c, r, v, deadline); err != nil {
		return nil, h.cfg.Auth.WithChallenge(err)
	}
	if err := c.accept(w, r); err != nil {
		return nil, err
	}
	if c.ID() != middleware.RequestID(r.Context()) {
		middleware.Annotate(r.Context(), slog.String("connection", c.ID()))
	}
	opened = true
	return c, nil
}

// abandon gives back the place and the connection of a failed handshake.
func (c *Conn) abandon() {
	if c.cancel != nil {
		c.cancel(ErrClosed)
	}
	if c.guard.Conn != nil { // it was hijacked: no HTTP can follow
		c.cut()
	}
	c.binding.Leave(nil)
}

// bind enters the connection under its principal, and has Authorize decide.
func (h *Handler) bind(c *Conn, r *http.Request, v *middleware.Voucher, deadline time.Time) error {
	if err := c.binding.Bind(r.Context(), v, (*member)(c)); err != nil {
		return err
	}
	if h.cfg.Authorize != nil {
		var err error
		if c.value, err = h.authorize(r, v, c.Principal(), deadline); err != nil {
			return err
		}
	}
	if err := c.ended(); err != nil { // meanwhile
		return middleware.Unauthorized(middleware.ReasonCredentialRevoked, err)
	}
	return nil
}

// handshakeTimeout bounds the Auth, its Follow and Authorize together, for one handshake;
// then the answer is 503. It bounds the write of the 101, too.
const handshakeTimeout = 2 * time.Second

func (h *Handler) authorize(r *http.Request, v *middleware.Voucher, p middleware.Principal, deadline time.Time) (any, error) {
	ctx, cancel := context.WithDeadline(context.WithValue(r.Context(), contextkey.Voucher{}, v), deadline)
	defer cancel()
	r = r.WithContext(ctx)
	value, err := bounded.Call(ctx, h.authorizing, "ws: Authorize", func() (any, error) { return h.cfg.Authorize(r, p) })
	var f *middleware.Refusal
	var panicked *bounded.PanicError
	switch {
	case err == nil, errors.As(err, &panicked), errors.As(err, &f) && f != nil:
		return value, err
	case ctx.Err() != nil:
		return nil, middleware.Unavailable(err)
	}
	return nil, middleware.Forbidden(err)
}

// run is a connection's goroutine.
func (c *Conn) run() {
	err := errGoexit // unless serve says otherwise: runtime.Goexit ends it too
	defer func() { c.finish(c.causeOr(err)) }()
	err = c.serve()
}

var errGoexit = errors.New("ws: Serve called runtime.Goexit")

// serve calls the user's Serve and contains its panic.
func (c *Conn) serve() (err error) {
	defer func() {
		if v := recover(); v != nil {
			p := bounded.Panicked(v)
			c.h.cfg.Log.Error("ws: panic in Serve", "id", c.ID(), "cause", p, "stack", p.Stack) // once; the closing line has no stack
			err = ErrInternal.Wrap(p)
		}
	}()
	if err := c.ended(); err != nil {
		return err // revoked while it was being upgraded
	}
	c.greetPage()
	return c.h.cfg.Serve(c.ctx, c)
}

// causeOr returns the cause of the end, or the one that the result of Serve stands for.
func (c *Conn) causeOr(err error) *CloseError {
	if cause := c.cause.Load(); cause != nil {
		return cause
	}
	if err == nil {
		return ErrClosed
	}
	return closeErrorOr(err, ErrInternal)
}

// logEnd writes the line of ASVS 16.3.3: which principal, how long, how it ended.
func (c *Conn) logEnd(cause *CloseError) {
	if c.explains {
		return // the request's line says it
	}
	log := c.h.cfg.Log
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
		slog.Duration("lasted", time.Duration(c.h.now()-c.binding.Opened())),
		slog.Int64("received", c.traffic.received.Load()),
		slog.Int64("sent", c.traffic.sent.Load()),
	)
	if cause.Err != nil {
		attrs = append(attrs, slog.Any("cause", cause.Err))
	}
	log.LogAttrs(context.Background(), level, "websocket closed", attrs...)
}
