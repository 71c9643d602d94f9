package ws

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

// init makes what a connection of the request needs before there is a connection.
func (c *Conn) init(r *http.Request) {
	c.writing = make(chan struct{}, 1)
	c.messages.rate = &c.h.messageRate
	now := c.h.now()
	c.lastByte.Store(now)
	c.lastMessage.Store(now)
	// None of the request's: net/http cancels that when the handler returns.
	c.ctx, c.cancel = context.WithCancelCause(detach(r.Context()))
}

// detach is a context for the connection: see contextkey.Detached.
func detach(request context.Context) context.Context {
	return &contextkey.Detached{
		Context: context.Background(), Voucher: request.Value(contextkey.Voucher{}), ID: middleware.RequestID(request),
	}
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
	c.binding.Open()
	return nil
}

// readAhead is how much is read before it is known what it is: a header and a short message.
// The rest of a longer one is read to where it belongs.
const readAhead = 384

// hijacker hands coder the connection behind a guard and with small buffers: the
// 4 KiB pair of net/http would stay for as long as the connection does.
type hijacker struct {
	http.ResponseWriter
	c *Conn
}

// WriteHeader keeps coder's 101 for Hijack, which comes next.
func (w *hijacker) WriteHeader(int) {}

// Write drops coder's error texts.
func (w *hijacker) Write(p []byte) (int, error) { return len(p), nil }

// errAnswered is the error of an upgrade that failed after its 101 was handed to the outer
// layers. It cannot be answered in another way, and nothing that follows on the connection
// may be served as HTTP.
var errAnswered = errors.New("ws: upgrade: an outer layer does not pass Hijack on after the 101")

// Hijack answers 101 through the outer layers, so that they see it, and takes the
// connection over.
func (w *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c := w.c
	spell(w.Header())
	w.Header()["Securews-Connection"] = []string{c.ID()}
	if c.subprotocol != "" {
		w.Header()["Sec-WebSocket-Protocol"] = []string{c.subprotocol}
	}
	w.ResponseWriter.WriteHeader(http.StatusSwitchingProtocols)
	writeHeaderNow(w.ResponseWriter)
	control := http.NewResponseController(w.ResponseWriter)
	conn, rw, err := control.Hijack()
	if err != nil {
		// If a layer keeps the panic that follows from net/http, the answer fails, and
		// net/http reads no further request.
		_ = control.SetWriteDeadline(time.Unix(1, 0))
		return nil, nil, fmt.Errorf("%w: %w", errAnswered, err)
	}
	g := &c.guard
	g.Conn, g.c = conn, c
	g.control, g.bytes = bucket{rate: &c.h.controlRate}, bucket{rate: &c.h.byteRate}
	g.frames.pingOwed = &c.pingOwed
	g.frames.text.checked = !strings.HasPrefix(c.subprotocol, SealedPrefix)
	if early, _ := rw.Reader.Peek(rw.Reader.Buffered()); len(early) > 0 {
		g.early = append(g.early, early...)
	}
	c.buffered = bufio.NewReaderSize(g, readAhead)
	boundUnsent(conn)
	return g, bufio.NewReadWriter(c.buffered, bufio.NewWriterSize(g, 16)), nil
}

// writeHeaderNow has a writer send its header that would wait for the body, as gin's does.
func writeHeaderNow(w http.ResponseWriter) {
	for w != nil {
		if late, ok := w.(interface{ WriteHeaderNow() }); ok {
			late.WriteHeaderNow()
			return
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return
		}
		w = u.Unwrap()
	}
}

// spell writes the header names of the 101 as RFC 6455 does: some clients compare them
// letter by letter.
func spell(h http.Header) {
	for canonical, name := range map[string]string{
		"Sec-Websocket-Accept": "Sec-WebSocket-Accept", "Sec-Websocket-Protocol": "Sec-WebSocket-Protocol",
	} {
		if v, ok := h[canonical]; ok {
			delete(h, canonical)
			h[name] = v
		}
	}
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
