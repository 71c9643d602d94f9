package live

import (
	"bufio"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"time"

	"github.com/securews/securews/internal/unwrap"
)

// countedAt is how long a response is that becomes a member though it does not wait.
const countedAt = 64 << 10

var errReturned = errors.New("live: Handler: the handler has returned")

// beforeWrite is called before a part of the response is passed on, while writing is free. It
// makes an event stream and an upgrade members.
func (w *response) beforeWrite(status int) {
	if !w.wroteHeader.Load() && (status == http.StatusSwitchingProtocols || isEventStream(w.ResponseWriter.Header())) {
		_ = w.enter()
	}
}

// begin is called before a part of the response is passed on, in the same hold of writing, and
// returns why it must not be. The first part passes the header on.
func (w *response) begin(status int) error {
	if err := w.writeErr(); err != nil {
		w.body.refused = true
		return err
	}
	if !w.wroteHeader.Load() {
		h := w.ResponseWriter.Header()
		w.eventStream.Store(isEventStream(h) && w.kind != headRequest && w.kind != tunnelRequest && h.Get("Content-Encoding") == "")
		w.body.webSocket = status == http.StatusSwitchingProtocols && toWebSocket(h["Upgrade"])
		w.wroteHeader.Store(true)
	}
	return nil
}

// writeErr returns why writes of the handler fail, or nil. writing is held.
func (w *response) writeErr() error {
	o := w.ended.Load()
	switch {
	case w.returned.Load():
		return errReturned
	case o == nil:
		return nil
	case o.cause == nil, w.refusing.Load(), w.body.lastEvent:
		return o.err
	case !final(o.cause):
		return nil
	case !w.wroteHeader.Load() && w.kind.isSafe(), w.eventStream.Load() && w.body.lines.betweenEvents():
		return o.err
	}
	return nil
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	w.beforeWrite(http.StatusOK)
	if len(p) >= countedAt { // the Write may last
		w.count()
	}
	n, total, err := w.write(p)
	w.afterWrite(total)
	return n, err
}

func (w *response) write(p []byte) (n int, total int64, err error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	if err := w.beginBody(); err != nil {
		return 0, 0, err
	}
	n, err = w.ResponseWriter.Write(p)
	if w.body.bytes += int64(n); w.eventStream.Load() {
		w.body.lines.pass(p[:n])
	}
	return n, w.body.bytes, err
}

// beginBody is called before a part of the body is passed on, and returns why it is not to be.
// writing is held.
func (w *response) beginBody() error {
	b := &w.body
	if err := w.begin(http.StatusOK); err != nil {
		return err
	}
	b.late = b.late || w.ended.Load() != nil && b.bytes == 0 && !b.flushed
	return nil
}

// afterWrite is called after every write, when writing is free.
func (w *response) afterWrite(total int64) {
	if total >= countedAt {
		w.count()
	}
	if w.ended.Load() != nil {
		w.endEventStream()
	}
}

// ReadFrom lets io.Copy use that of net/http, and with it sendfile. It copies in portions,
// between which an end is seen.
func (w *response) ReadFrom(src io.Reader) (n int64, err error) {
	w.beforeWrite(http.StatusOK)
	to, ok := w.ResponseWriter.(io.ReaderFrom)
	if !ok || isEventStream(w.ResponseWriter.Header()) {
		return io.Copy(struct{ io.Writer }{w}, src)
	}
	all, ok := src.(*io.LimitedReader) // net unwraps only one
	if !ok {
		all = &io.LimitedReader{R: src, N: math.MaxInt64}
	}
	for all.N > 0 && err == nil {
		part := io.LimitedReader{R: all.R, N: min(all.N, countedAt)}
		if w.binding.Load() != nil {
			part.N = min(all.N, 4*countedAt)
		}
		size := part.N
		var m, total int64
		m, total, err = w.readFrom(to, &part)
		n += m
		all.N -= size - part.N
		w.afterWrite(total)
		if part.N > 0 {
			break // the end of src
		}
	}
	return n, err
}

func (w *response) readFrom(to io.ReaderFrom, part *io.LimitedReader) (n, total int64, err error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	if err := w.beginBody(); err != nil {
		return 0, 0, err
	}
	n, err = to.ReadFrom(part)
	w.body.bytes += n
	return n, w.body.bytes, err
}

// Flush implements http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError is the method that http.ResponseController prefers to Flush.
func (w *response) FlushError() error {
	_ = w.enter()
	err := w.flush()
	w.afterWrite(0)
	return err
}

func (w *response) flush() error {
	w.writing.Lock()
	defer w.writing.Unlock()
	if err := w.beginBody(); err != nil {
		return err
	}
	w.body.flushed = true
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap serves http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// SetReadDeadline is the method that http.ResponseController calls. It does not undo a cut.
func (w *response) SetReadDeadline(t time.Time) error {
	return w.setDeadline(t, (*http.ResponseController).SetReadDeadline)
}

// SetWriteDeadline is the method that http.ResponseController calls. It does not undo a cut.
func (w *response) SetWriteDeadline(t time.Time) error {
	return w.setDeadline(t, (*http.ResponseController).SetWriteDeadline)
}

func (w *response) setDeadline(t time.Time, set func(*http.ResponseController, time.Time) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.returned.Load():
		return errReturned
	case w.cutting:
		return nil
	}
	return set(http.NewResponseController(w.ResponseWriter), t)
}

// response1 is a response of HTTP/1.1, whose connection can be hijacked.
type response1 struct{ *response }

// Hijack implements http.Hijacker.
func (w response1) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }

// response2 is a response of HTTP/2.
type response2 struct{ *response }

// Push implements http.Pusher.
func (w response2) Push(target string, opts *http.PushOptions) error {
	if p, ok := unwrap.As[http.Pusher](w.ResponseWriter); ok {
		return p.Push(target, opts)
	}
	return http.ErrNotSupported
}
