package live

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

// responseMember is a response as the registry sees it.
type responseMember response

// Prompt says that the methods return at once.
func (*responseMember) Prompt(contextkey.Ours) {}

// End is [Member]'s.
func (m *responseMember) End(cause *Cause) { (*response)(m).end(cause) }

// Next is [Member]'s. Grace has timers of its own; a shutdown that is out of time does not
// wait for them.
func (m *responseMember) Next(now int64, hurry bool) int64 {
	w := (*response)(m)
	o := w.ended.Load()
	switch {
	case o == nil || !hurry:
		return 0
	case now < o.at+int64(time.Second):
		return o.at + int64(time.Second)
	}
	w.refusing.Store(true)
	w.cut()
	return 0
}

// end begins the end. It does not wait.
func (w *response) end(cause *Cause) {
	o := &responseEnd{err: cause, cause: cause, at: w.layer.registry.Now()}
	w.mu.Lock()
	first := w.ended.CompareAndSwap(nil, o)
	if !first && final(cause) {
		w.ended.Store(o)
	}
	conn := w.conn
	switch {
	case !first || conn != nil || w.returned.Load():
	case w.kind == tunnelRequest: // its bytes are not a response, which could be completed
		w.refusing.Store(true)
		w.timer = time.AfterFunc(0, w.cut)
	default:
		w.timer = time.AfterFunc(w.layer.registry.cfg.Timeouts.Grace, w.graceOver)
	}
	w.mu.Unlock()
	if conn != nil {
		conn.end(cause)
		return
	}
	w.cancel(cause)
	if w.eventStream.Load() && final(cause) {
		go w.endEventStream()
	}
}

// graceOver refuses further writes, and plans the cut.
func (w *response) graceOver() {
	w.refusing.Store(true)
	w.endEventStream()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.returned.Load() && w.conn == nil {
		w.timer = time.AfterFunc(w.layer.registry.cfg.Timeouts.Grace, w.cut)
	}
}

// aLongTimeAgo is a deadline that has passed.
var aLongTimeAgo = time.Unix(1, 0)

type deadliner interface{ SetWriteDeadline(time.Time) error }

// cut ends reads and writes that wait. On HTTP/1.1 a deadline in the past damages the
// record that TLS is sending, so it is set only if a write waits and the connection is not
// known; on HTTP/2 it resets the stream. After the handler has returned, it would concern
// another request.
func (w *response) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		w.conn.cut()
		return
	}
	if w.returned.Load() {
		return
	}
	w.cutting = true
	control := http.NewResponseController(w.ResponseWriter)
	if w.request.Body != nil && w.request.Body != http.NoBody {
		_ = control.SetReadDeadline(aLongTimeAgo)
	}
	idle := w.writing.TryLock()
	if idle {
		w.writing.Unlock()
	} else {
		w.keepNothing(w.request)
	}
	if w.request.ProtoMajor == 2 || !idle && !w.closeBelowTLS() {
		_ = control.SetWriteDeadline(aLongTimeAgo)
	}
}

// closeBelowTLS closes the connection of a write that waits, so that no alert of TLS follows
// the record that is missing then, which the client would take for a forged one.
func (w *response) closeBelowTLS() bool {
	c, ok := w.outer.Value(contextkey.Conn{}).(*tls.Conn)
	return ok && c.NetConn().Close() == nil
}

// keepNothing has the kernel keep nothing for the peer when net/http closes the connection, if
// the end is final and the connection is known. That of HTTP/2 is of other streams, too.
func (w *response) keepNothing(r *http.Request) {
	c, ok := w.outer.Value(contextkey.Conn{}).(net.Conn)
	if ok && r.ProtoMajor == 1 && final(w.endedWith()) {
		resetOnClose(belowTLS(c))
	}
}

// complete decides what becomes of the response of a handler that has returned or, if aborted is
// set, has panicked with http.ErrAbortHandler, if its credential has ended.
func (w *response) complete(aborted bool) {
	o := w.ended.Load()
	if o == nil {
		return
	}
	w.mu.Lock()
	hijacked, r := w.conn != nil || w.hijacked, w.request
	w.mu.Unlock()
	if hijacked {
		return
	}
	w.writing.Lock()
	defer w.writing.Unlock()
	switch {
	case !w.wroteHeader.Load() && (o.cause == nil || w.kind.isSafe()):
		w.refusing.Store(true) // the writes of goroutines that the handler has left
		w.refuse(r, o)
	case !w.wroteHeader.Load(), w.kind == tunnelRequest:
		panic(http.ErrAbortHandler) // whether the request took effect is not known
	case w.eventStream.Load():
		w.writeLastEvent(o)
	case w.body.refused, aborted && !w.body.whole(w.ResponseWriter.Header()), w.body.partial(w.ResponseWriter.Header()):
		w.keepNothing(r)
		panic(http.ErrAbortHandler)
	}
}

// partial reports whether a handler that has returned since the end may have given up
// within the body. One that began the body since the end is believed to have finished: what
// it wrote, it wrote in spite of the end.
func (b *written) partial(h http.Header) bool {
	if b.late || b.bytes == 0 && !b.flushed || isEventStream(h) {
		return false // an event stream may end between any two events
	}
	return !b.whole(h)
}

// whole reports whether the body is proved to be complete.
func (b *written) whole(h http.Header) bool {
	length, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	return err == nil && length == b.bytes
}

// refuse answers in place of the handler.
func (w *response) refuse(r *http.Request, o *responseEnd) {
	w.restoreHeader()
	err := o.err
	if o.cause != nil {
		err = refusalOf(o.cause)
	}
	middleware.Refuse(w.ResponseWriter, r, err)
}

func refusalOf(cause *Cause) error {
	switch {
	case errors.Is(cause, Expired): // first: a revocation may be behind it
		return middleware.Unauthorized(middleware.ReasonCredentialExpired, cause)
	case cause.outdated():
		return middleware.Unauthorized(middleware.ReasonCredentialOutdated, cause)
	case errors.Is(cause, Revoked):
		return middleware.Unauthorized(middleware.ReasonCredentialRevoked, cause)
	case errors.Is(cause, Forbidden):
		return middleware.Forbidden(cause)
	case errors.Is(cause, Restart), errors.Is(cause, Later):
		return middleware.Unavailable(cause)
	}
	return middleware.Unauthorized(middleware.ReasonCredentialExpired, cause)
}
