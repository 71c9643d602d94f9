package live

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/http"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/opening"
)

func (w *response) hijack() (net.Conn, *bufio.ReadWriter, error) {
	bound, err := w.mayHijack()
	if err != nil {
		return nil, nil, err
	}
	inner, rw, err := w.hijackApart()
	switch {
	case err != nil:
		return nil, nil, err
	case !bound:
		w.mu.Lock()
		w.hijacked = true
		w.mu.Unlock()
		return inner, rw, nil
	}
	return w.bindConn(inner, rw), rw, nil
}

// hijackApart hijacks the connection. If the header has been passed on, it does so in a
// goroutine of its own: net/http then writes that header with 3 KiB of stack, by which the
// stack of the handler's goroutine would double for as long as the connection is open.
func (w *response) hijackApart() (conn net.Conn, rw *bufio.ReadWriter, err error) {
	control := http.NewResponseController(w.ResponseWriter)
	if !w.wroteHeader.Load() {
		return control.Hijack()
	}
	err = errHijack
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if v := recover(); v != nil {
				err = bounded.Panicked(v)
			}
		}()
		conn, rw, err = control.Hijack()
	}()
	<-done
	return conn, rw, err
}

var errHijack = errors.New("live: Handler: Hijack of a layer in front called runtime.Goexit")

// mayHijack reports whether the connection is bound, or why it is not to be hijacked.
func (w *response) mayHijack() (bound bool, err error) {
	w.mu.Lock()
	yielded := w.yielded
	w.mu.Unlock()
	if yielded {
		return false, nil
	}
	if err := w.enter(); err != nil && !w.wroteHeader.Load() {
		w.refusing.Store(true)
		return false, err
	}
	return true, nil
}

func (w *response) bindConn(inner net.Conn, rw *bufio.ReadWriter) *conn {
	c := &conn{Conn: inner, w: w}
	c.decideContent()
	if early, _ := rw.Reader.Peek(rw.Reader.Buffered()); len(early) > 0 {
		c.early = bytes.NewReader(bytes.Clone(early))
	}
	rw.Reader.Reset(c)
	rw.Writer.Reset(c)
	w.attach(c)
	return c
}

// decideContent sets carries, unless the head of the response decides that. Only a handshake
// leads to a WebSocket, if its status is 101 (RFC 6455 §4.2.2) and that is not to another
// protocol (RFC 9110 §7.8).
func (c *conn) decideContent() {
	w := c.w
	w.writing.Lock()
	defer w.writing.Unlock()
	switch {
	case w.body.webSocket:
		c.carries.Store(frames)
	case !w.wroteHeader.Load() && opening.IsHandshake(w.request):
		c.head = &head{outer: w.ResponseWriter.Header()}
	default:
		c.carries.Store(otherContent)
	}
}

// attach hands the place of the response to the connection. The response lives as long as
// the handler, and keeps nothing then that the handler does not.
func (w *response) attach(c *conn) {
	w.outerHeader.Store(notKept)
	w.mu.Lock()
	w.conn, w.request = c, nil
	if w.timer != nil {
		w.timer.Stop()
	}
	o := w.ended.Load()
	w.mu.Unlock()
	switch {
	case o == nil:
	case o.cause == nil:
		c.end(Later.Wrap(o.err))
	default:
		c.end(o.cause)
	}
}
