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

var errReturned = errors.New("live: Handler: a write after the handler has returned")

// prepare is called before a part of the response is passed on. An event stream and an
// upgrade are members before.
func (w *response) prepare(status int) {
	if !w.out.Load() && (status == http.StatusSwitchingProtocols || w.ofEvents()) {
		_ = w.enter()
	}
}

// ofEvents reports whether the header is that of an event stream.
func (w *response) ofEvents() bool {
	lines := w.ResponseWriter.Header()["Content-Type"]
	return len(lines) > 0 && isMediaType(lines[0], eventStream)
}

// begin is called before a part of the response is passed on, in the same hold of writing,
// and returns why it is not to be. With the first part, the header is out.
func (w *response) begin(status int) error {
	if err := w.shut(); err != nil {
		w.body.refused = true
		return err
	}
	if !w.out.Load() {
		w.events.Store(w.ofEvents() && w.kind != headRequest && w.kind != tunnelRequest && w.ResponseWriter.Header().Get("Content-Encoding") == "")
		w.body.webSocket = status == http.StatusSwitchingProtocols && toWebSocket(w.ResponseWriter.Header()["Upgrade"])
		w.out.Store(true)
	}
	return nil
}

// shut returns why nothing more of the handler's is to go out. writing is held.
func (w *response) shut() error {
	o := w.ended.Load()
	switch {
	case w.body.returned:
		return errReturned
	case o == nil:
		return nil
	case o.cause == nil, w.refusing.Load(), w.body.said:
		return o.err
	case !final(o.cause):
		return nil
	case !w.out.Load() && w.kind.isSafe(), w.events.Load() && w.body.lines.betweenEvents():
		return o.err
	}
	return nil
}

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	informational := status < 200 && status != http.StatusSwitchingProtocols // RFC 9110 §15.2
	if !informational {
		w.prepare(status)
	}
	defer w.wrote(0)
	w.writing.Lock()
	defer w.writing.Unlock()
	if w.beginHeader(status, informational) == nil {
		w.ResponseWriter.WriteHeader(status)
	}
}

// beginHeader is begin for a header. A second one is passed on, and net/http reports it.
func (w *response) beginHeader(status int, informational bool) error {
	if informational || w.out.Load() {
		return w.shut()
	}
	return w.begin(status)
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	w.prepare(http.StatusOK)
	if len(p) >= countedAt { // the Write may last
		_ = w.enterAs(true)
	}
	n, total, err := w.write(p)
	w.wrote(total)
	return n, err
}

func (w *response) write(p []byte) (n int, total int64, err error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	if err := w.admit(); err != nil {
		return 0, 0, err
	}
	n, err = w.ResponseWriter.Write(p)
	if w.body.bytes += int64(n); w.events.Load() {
		w.body.lines.pass(p[:n])
	}
	return n, w.body.bytes, err
}

// admit is called before a part of the body is passed on, and returns why it is not to be.
// writing is held.
func (w *response) admit() error {
	b := &w.body
	if err := w.begin(http.StatusOK); err != nil {
		return err
	}
	b.late = b.late || w.ended.Load() != nil && b.bytes == 0 && !b.flushed
	return nil
}

// wrote is called after every write, when writing is free.
func (w *response) wrote(total int64) {
	if total >= countedAt {
		_ = w.enterAs(true)
	}
	if w.ended.Load() != nil {
		w.endEvents()
	}
}

// ReadFrom lets io.Copy use that of net/http, and with it sendfile. It copies in portions,
// between which an end is seen.
func (w *response) ReadFrom(src io.Reader) (n int64, err error) {
	w.prepare(http.StatusOK)
	to, ok := w.ResponseWriter.(io.ReaderFrom)
	if !ok || w.ofEvents() {
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
		w.wrote(total)
		if part.N > 0 {
			break // the end of src
		}
	}
	return n, err
}

func (w *response) readFrom(to io.ReaderFrom, part *io.LimitedReader) (n, total int64, err error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	if err := w.admit(); err != nil {
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
	w.wrote(0)
	return err
}

func (w *response) flush() error {
	w.writing.Lock()
	defer w.writing.Unlock()
	if err := w.admit(); err != nil {
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
	w.life.Lock()
	defer w.life.Unlock()
	switch {
	case w.returned:
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
