package ws

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

// upgrade does what costs: who is it, may it, and the upgrade itself.
func (h *Handler) upgrade(w http.ResponseWriter, r *http.Request) (*Conn, error) {
	if err := canHijack(w); err != nil {
		return nil, err
	}
	r, err := h.cfg.Auth.Admit(r)
	if err != nil {
		return nil, err
	}
	p, _ := middleware.FromContext(r.Context())
	c, err := h.newConn(r, p)
	if err != nil {
		return nil, h.cfg.Auth.WithChallenge(err)
	}
	// Entered in the index first, and only then checked: a revocation from before is
	// seen by the check, a later one finds the connection in the index.
	if !h.index.add(c, h.cfg.Limits.PerPrincipal) {
		return nil, &middleware.Refusal{
			Status: http.StatusTooManyRequests, Reason: middleware.ReasonTooManyConnections,
			Header: http.Header{"Retry-After": {"5"}}, Err: fmt.Errorf("ws: Limits.PerPrincipal is reached: %d", h.cfg.Limits.PerPrincipal),
		}
	}
	entered := false
	defer func() {
		if !entered {
			h.index.remove(c)
			c.cancel(ErrClosed)
		}
	}()
	if err := h.allowed(r, c); err != nil {
		return nil, h.cfg.Auth.WithChallenge(err)
	}
	if err := c.accept(w, r); err != nil {
		return nil, err
	}
	middleware.Annotate(r.Context(), slog.String("connection", c.id))
	entered = true
	return c, nil
}

// handshakeTimeout bounds the question to Revocations; then the answer is 503.
const handshakeTimeout = 2 * time.Second

// allowed asks for revocation, then Authorize.
func (h *Handler) allowed(r *http.Request, c *Conn) error {
	if h.cfg.Revocations != nil {
		ctx, cancel := context.WithTimeout(r.Context(), handshakeTimeout)
		defer cancel()
		revoked, err := h.cfg.Revocations.Revoked(ctx, c.principal)
		if err != nil {
			return retryLater(middleware.ReasonUnavailable, fmt.Errorf("ws: revocations: %w", err)) // fail closed
		}
		if revoked {
			return refuse(http.StatusUnauthorized, middleware.ReasonCredentialRevoked, errors.New("ws: revoked"))
		}
	}
	if h.cfg.Authorize != nil {
		err := h.cfg.Authorize(r, c.Principal())
		var f *middleware.Refusal
		switch {
		case errors.As(err, &f) && f != nil:
			return err
		case err != nil:
			return refuse(http.StatusForbidden, middleware.ReasonForbidden, err)
		}
	}
	if err := c.ended(); err != nil { // meanwhile
		return refuse(http.StatusUnauthorized, middleware.ReasonCredentialRevoked, err)
	}
	return nil
}

// newConn makes a connection's books, before there is a connection.
func (h *Handler) newConn(r *http.Request, p middleware.Principal) (*Conn, error) {
	c := h.blankConn(r)
	c.id, c.principal = cmp.Or(p.Connection, c.id), p
	if !p.Expires.IsZero() {
		left := time.Until(p.Expires)
		if left <= 0 {
			return nil, refuse(http.StatusUnauthorized, middleware.ReasonCredentialExpired, errors.New("ws: the credential has ended"))
		}
		c.expires = c.opened + int64(left)
	}
	return c, nil
}

// blankConn is a connection of nobody yet. Its context comes from none of the request's:
// net/http cancels that when the handler returns.
func (h *Handler) blankConn(r *http.Request) *Conn {
	now := h.now()
	c := &Conn{
		h: h, id: rand.Text(),
		writing: make(chan struct{}, 1),
		rate:    newBucket(h.cfg.Limits.MessagesPerSecond, h.cfg.Limits.MessageBurst),
		opened:  now, jitter: mathrand.Float64(),
	}
	c.lastByte.Store(now)
	c.lastMessage.Store(now)
	c.lastGood.Store(now)
	c.recheckAt.Store(now + int64(float64(h.cfg.Timeouts.Recheck)*(1-c.jitter/5)))
	c.subprotocol, _ = h.selectSubprotocol(r) // admissible has seen its error
	c.origin = r.Header.Get("Origin")         // of which Origins allows one
	c.ctx, c.cancel = context.WithCancelCause(detach(r.Context()))
	return c
}

// accept answers 101 and takes the connection over.
func (c *Conn) accept(w http.ResponseWriter, r *http.Request) error {
	opts := &websocket.AcceptOptions{
		InsecureSkipVerify: true, // Config.Origins has decided
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived: func(_ context.Context, p []byte) bool {
			_ = c.writeFrame(opPong, p)
			return false // ours is the answer
		},
	}
	coder, err := websocket.Accept(&hijacker{w, c}, r, opts)
	if err != nil {
		return fmt.Errorf("ws: upgrade: %w", err)
	}
	coder.SetReadLimit(int64(c.h.cfg.Limits.Message))
	c.coder = coder
	c.attached.Store(true)
	c.h.wheel.add(c, c.h.now()) // asked at the next tick
	return nil
}

// hijacker hands coder the connection behind a guard and with small buffers: the
// 4 KiB pair of net/http would stay for as long as the connection does.
//
// It takes the connection over first and writes the 101 itself: one that was written
// before a Hijack that fails could not be taken back, and a proxy in front would
// tunnel whatever follows to a server that still speaks HTTP.
type hijacker struct {
	http.ResponseWriter
	c *Conn
}

// WriteHeader keeps coder's 101 for Hijack, which comes next.
func (w *hijacker) WriteHeader(int) {}

// Write drops coder's error texts.
func (w *hijacker) Write(p []byte) (int, error) { return len(p), nil }

func (w *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		for _, name := range [...]string{"Upgrade", "Connection", "Sec-Websocket-Accept"} {
			w.Header().Del(name)
		}
		return nil, nil, err
	}
	w.Header().Set("Securews-Connection", w.c.id)
	if w.c.subprotocol != "" {
		w.Header().Set("Sec-Websocket-Protocol", w.c.subprotocol)
	}
	writeSwitching(conn, w.Header(), w.c.h.cfg.Timeouts.Write)
	perSecond := w.c.h.cfg.Limits.ControlPerSecond
	g := &guard{Conn: conn, c: w.c, control: newBucket(perSecond, min(10*perSecond, 1<<20))}
	if early, _ := rw.Reader.Peek(rw.Reader.Buffered()); len(early) > 0 {
		g.early = append(g.early, early...)
	}
	w.c.net, w.c.guard, w.c.buffered = conn, g, bufio.NewReaderSize(g, 512)
	return g, bufio.NewReadWriter(w.c.buffered, bufio.NewWriterSize(g, 16)), nil
}

// framing are headers of a body, which a 101 has not (RFC 9110 §8.6).
var framing = map[string]bool{"Content-Length": true, "Transfer-Encoding": true}

// writeSwitching answers 101. Where the write fails, the first read does. The server's
// deadlines were the request's and end here.
func writeSwitching(conn net.Conn, h http.Header, timeout time.Duration) {
	b := bytes.NewBuffer(make([]byte, 0, 1024))
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = h.WriteSubset(b, framing)
	b.WriteString("\r\n")
	_ = conn.SetReadDeadline(time.Time{})
	_ = conn.SetWriteDeadline(time.Now().Add(timeout))
	_, _ = conn.Write(b.Bytes())
	_ = conn.SetWriteDeadline(time.Time{})
}

// canHijack finds the middleware that hides the connection, while that can still be
// answered. Whoever can be unwrapped is believed to pass Hijack on.
func canHijack(w http.ResponseWriter) error {
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = u.Unwrap()
	}
	if _, ok := w.(http.Hijacker); ok {
		return nil
	}
	return fmt.Errorf("ws: %T hides http.Hijacker: the middleware it belongs to needs an Unwrap method, or must not wrap this route", w)
}

// detach is a context for the connection: see contextkey.Detached.
func detach(request context.Context) context.Context {
	d := &contextkey.Detached{Context: context.Background(), Voucher: request.Value(contextkey.Voucher{})}
	if id := middleware.RequestID(request); id != "" {
		d.ID = &id
	}
	return d
}
