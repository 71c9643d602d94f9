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
		w.letGo()
		return inner, rw, nil
	}
	return w.bindConn(inner, rw), rw, nil
}

// hijackApart lets net/http write a header that is out in a goroutine of its own. It needs
// 3 KiB of stack for that, by which the stack of the handler's goroutine would double, and
// stay so as long as the connection.
func (w *response) hijackApart() (conn net.Conn, rw *bufio.ReadWriter, err error) {
	control := http.NewResponseController(w.ResponseWriter)
	if !w.out.Load() {
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
	w.life.Lock()
	yielded := w.yielded
	w.life.Unlock()
	if yielded {
		return false, nil
	}
	if err := w.enter(); err != nil && !w.out.Load() {
		w.refusing.Store(true)
		return false, err
	}
	return true, nil
}

func (w *response) letGo() {
	w.life.Lock()
	defer w.life.Unlock()
	w.gone = true
}

func (w *response) bindConn(inner net.Conn, rw *bufio.ReadWriter) *conn {
	c := &conn{Conn: inner, w: w}
	c.expect()
	if early, _ := rw.Reader.Peek(rw.Reader.Buffered()); len(early) > 0 {
		c.early = bytes.NewReader(bytes.Clone(early))
	}
	rw.Reader.Reset(c)
	rw.Writer.Reset(c)
	w.attach(c)
	return c
}

// expect decides about the content of the connection. Only a handshake leads to a WebSocket,
// if its status is 101 (RFC 6455 §4.2.2) and that is not to another protocol (RFC 9110 §7.8).
func (c *conn) expect() {
	w := c.w
	w.writing.Lock()
	defer w.writing.Unlock()
	switch {
	case w.body.webSocket:
		c.carries.Store(frames)
	case !w.out.Load() && opening.IsHandshake(w.request):
		c.head = &head{outer: w.ResponseWriter.Header()}
	default:
		c.carries.Store(otherContent)
	}
}

// attach hands the place of the response to the connection. The response lives as long as
// the handler, and keeps nothing then that the handler does not.
func (w *response) attach(c *conn) {
	w.before.Store(notKept)
	w.life.Lock()
	w.conn, w.request = c, nil
	if w.timer != nil {
		w.timer.Stop()
	}
	o := w.ended.Load()
	w.life.Unlock()
	switch {
	case o == nil:
	case o.cause == nil:
		c.end(Later.Wrap(o.err))
	default:
		c.end(o.cause)
	}
}
