package ws

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/internal/unwrap"
	"github.com/securews/securews/middleware"
)

// prepare makes the parts of a connection that it needs before the upgrade.
func (c *Conn) prepare(r *http.Request, v *middleware.Voucher) {
	now := c.now()
	c.times.lastByte.Store(now)
	c.times.lastMessage.Store(now)
	// Not the request's: net/http cancels that when the handler returns.
	c.detached.Voucher = v
	c.detached.ID, _ = r.Context().Value(contextkey.RequestID{}).(*string)
	c.ctx, c.cancel = context.WithCancelCause(&c.detached)
}

// accept answers 101, with the limits in a header, and takes the connection over.
func (c *Conn) accept(w http.ResponseWriter, r *http.Request) error {
	hj := hijackers.Get().(*hijacker)
	defer hijackers.Put(hj)
	*hj = hijacker{ResponseWriter: w, c: c, r: r}
	defer func() { *hj = hijacker{} }()
	coder, err := websocket.Accept(hj, r, acceptOptions)
	if err != nil {
		return fmt.Errorf("ws: upgrade: %w", err)
	}
	coder.SetReadLimit(int64(c.rules.limits.Message))
	c.in.coder = coder
	c.ending.attached.Store(true)
	c.binding.Open()
	return nil
}

// readAhead is how many bytes are read at once if nothing is known about them: a header and
// a short message. The rest of a longer message is read into its own memory.
const readAhead = 384

// hijacker hands coder the connection behind a guard and with small buffers: the
// 4 KiB pair of net/http would stay for as long as the connection does.
type hijacker struct {
	http.ResponseWriter
	c    *Conn
	r    *http.Request
	pair bufio.ReadWriter
}

// hijackers keeps those that no handshake uses.
var hijackers = sync.Pool{New: func() any { return new(hijacker) }}

// WriteHeader keeps coder's 101 for Hijack, which comes next.
func (w *hijacker) WriteHeader(int) {}

// Write drops coder's error texts.
func (w *hijacker) Write(p []byte) (int, error) { return len(p), nil }

// errAnswered is the error of an upgrade that failed after its 101 was handed to the outer
// layers. It cannot be answered in another way, and nothing that follows on the connection
// may be served as HTTP.
var errAnswered = errors.New("ws: upgrade: the connection was not handed over after the 101")

var errUnread = errors.New("the client does not read")

// Hijack answers 101 through the outer layers, so that they see it, and takes the
// connection over.
func (w *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c := w.c
	spell(w.Header())
	w.Header()["Securews-Connection"] = []string{c.ID()}
	w.Header()["Securews-Limits"] = c.rules.named
	if c.subprotocol != "" {
		w.Header()["Sec-WebSocket-Protocol"] = []string{c.subprotocol}
	}
	conn, rw, err := takeOver(w.ResponseWriter, w.r)
	if err != nil {
		return nil, nil, err
	}
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	c.ending.conn = conn
	in, g := &c.in, &c.in.guard
	g.begin(conn, early, c.sealed())
	in.buffered, in.discarded = *bufio.NewReaderSize(g, readAhead), *bufio.NewWriterSize(g, 16)
	w.pair = bufio.ReadWriter{Reader: &in.buffered, Writer: &in.discarded}
	boundUnsent(conn)
	return g, &w.pair, nil
}

// takeOver sends the 101 and takes the connection out of net/http. If a layer does not let
// that happen, or panics, or the client does not take the 101, its error is errAnswered. That a
// write has failed is known from the context of the request, which net/http cancels then; Hijack
// does not report it, and also takes long on a busy machine.
func takeOver(w http.ResponseWriter, r *http.Request) (conn net.Conn, rw *bufio.ReadWriter, err error) {
	control := http.NewResponseController(w)
	deadline := time.Now().Add(handshakeTimeout) // an answer before this one may fill the kernel
	defer func() {
		if err != nil {
			// If a layer keeps the panic that follows from net/http, the answer fails, and
			// net/http reads no further request.
			_ = control.SetWriteDeadline(time.Unix(1, 0))
			err = fmt.Errorf("%w: %w", errAnswered, err)
		}
	}()
	defer bounded.Contain(&err)
	_ = control.SetWriteDeadline(deadline)
	w.WriteHeader(http.StatusSwitchingProtocols)
	writeHeaderNow(w)
	conn, rw, err = control.Hijack() // which lifts the deadline
	if err == nil && !time.Now().Before(deadline) && r.Context().Err() != nil {
		_ = conn.Close()
		return nil, nil, errUnread
	}
	return conn, rw, err
}

// writeHeaderNow has a writer send its header that would wait for the body, as gin's does.
func writeHeaderNow(w http.ResponseWriter) {
	if late, ok := unwrap.As[interface{ WriteHeaderNow() }](w); ok {
		late.WriteHeaderNow()
	}
}

// spell writes the header names of the 101 as RFC 6455 does: some clients compare them
// letter by letter.
func spell(h http.Header) {
	if v, ok := h["Sec-Websocket-Accept"]; ok {
		delete(h, "Sec-Websocket-Accept")
		h["Sec-WebSocket-Accept"] = v
	}
}

// canHijack finds the middleware that hides the connection, while that can still be
// answered. A writer that can be unwrapped is believed to pass Hijack on.
func canHijack(w http.ResponseWriter) error {
	w = unwrap.Innermost(w)
	if _, ok := w.(http.Hijacker); ok {
		return nil
	}
	return fmt.Errorf("ws: %T hides http.Hijacker: the middleware it belongs to needs an Unwrap method, or must not wrap this route", w)
}
