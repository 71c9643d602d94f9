package live

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"github.com/securews/securews/internal/contextkey"
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
