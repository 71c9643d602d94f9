package middleware

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// countingWriter counts the status and the bytes of a response, and keeps its errors out of
// caches. It hides nothing: Unwrap serves http.ResponseController; Hijack, Flush and ReadFrom
// serve callers that assert a type.
type countingWriter struct {
	http.ResponseWriter
	status   int
	bytes    int64
	hijacked bool
}

// counting returns w if it counts already, else the given writer around it.
func counting(w http.ResponseWriter, around *countingWriter) *countingWriter {
	if cw, ok := w.(*countingWriter); ok {
		return cw
	}
	around.ResponseWriter = w
	return around
}

func (w *countingWriter) answered(panicked bool) int {
	switch {
	case w.status != 0:
		return w.status
	case w.hijacked:
		return http.StatusSwitchingProtocols
	case panicked:
		return http.StatusInternalServerError
	}
	return http.StatusOK
}

func (w *countingWriter) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
		if status >= 400 {
			w.keepOutOfCaches()
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// keepOutOfCaches adds no-store to an error of a handler that does not say how long it may be
// kept. A cache may keep a 404, 405, 410, 414 or 501 by default (RFC 9110 §15.1), and net/http
// removes the Cache-Control of a file that it cannot serve.
func (w *countingWriter) keepOutOfCaches() {
	if h := w.Header(); len(h["Cache-Control"]) == 0 {
		h["Cache-Control"] = noStore
	}
}

func (w *countingWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// ReadFrom lets the server send a file without copying it.
func (w *countingWriter) ReadFrom(src io.Reader) (int64, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := io.Copy(w.ResponseWriter, src)
	w.bytes += n
	return n, err
}

func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *countingWriter) Flush() { _ = w.FlushError() }

// FlushError is the method that http.ResponseController prefers to Flush.
func (w *countingWriter) FlushError() error {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if w.status == 0 && err == nil { // the header is out (net/http, Flusher)
		w.status = http.StatusOK
	}
	return err
}

func (w *countingWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, brw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.hijacked = w.hijacked || err == nil
	return c, brw, err
}
