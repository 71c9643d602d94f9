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

	rules, sealed *rules // sealed: of connections under SealedPrefix
	workers       *workers
}

// New compiles a configuration, or reports everything that is wrong with it.
func New(cfg Config) (*Handler, error) {
	records := cfg.Limits.ofRecords()
	cfg, err := cfg.compile()
	if err == nil {
		err = records.compile()
	}
	if err != nil {
		return nil, err
	}
	h := &Handler{
		cfg: cfg, authorizing: bounded.NewCaller(nil),
		rules: cfg.rules(&cfg.Limits), sealed: cfg.rules(&records), workers: newWorkers(),
	}
	// Stripped before a subprotocol is chosen; the AccessLog writes no credential.
	h.front = middleware.AccessLog(cfg.Log)(cfg.Auth.Strip(http.HandlerFunc(h.serve)))
	if cfg.ExplainRefusals {
		h.front = h.ExplainRefusals(h.front)
	}
	return h, nil
}

var errZero = errors.New("ws: the zero Handler serves no request: use New")

// Check makes the decisions that need the request alone, cheapest and least
// revealing first: TLS, handshake, host, origin, subprotocol, capacity. It does not
// authenticate and changes nothing: a ticket stays good.
func (h *Handler) Check(r *http.Request) (err error) {
	defer bounded.Contain(&err)
	if h == nil || h.front == nil {
		return errZero
	}
	if _, err := h.cfg.parse(h.cfg.Auth.Stripped(r)); err != nil {
		return err
	}
	return h.cfg.Live.Check()
}

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
	hs, err := h.cfg.parse(r)
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
		go c.run(h.cfg.Serve)
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
	c := h.newConn(hs)
	c.pulse = pulseOf(r, c.rules.limits.Message)
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
	limited := r
	if !h.cfg.Auth.BoundsItself(contextkey.Key()) {
		ctx, cancel := bounded.WithDeadline(r.Context(), deadline)
		defer cancel()
		limited = r.WithContext(ctx)
	}
	v, err := h.cfg.Auth.Vouch(contextkey.Key(), limited)
	if err != nil {
		return nil, err
	}
	c.prepare(r, v)
	if err := h.bind(c, limited, v, deadline); err != nil {
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
