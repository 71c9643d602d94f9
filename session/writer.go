package session

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/securews/securews/internal/savedheader"
	"github.com/securews/securews/middleware"
)

// writer saves the session before the response begins. It hides nothing: Unwrap serves
// http.ResponseController, the other methods serve type assertions.
type writer struct {
	http.ResponseWriter
	m     *Manager
	st    *state
	r     *http.Request
	outer savedheader.Fields // header of the layers in front
	begun bool
	err   error // the save failed, and the response is its refusal
}

// begin saves once. On failure it answers in the handler's place.
func (w *writer) begin() error {
	if w.begun {
		return w.err
	}
	w.begun = true
	if w.err = w.m.save(w.st); w.err == nil {
		w.m.answer(w.st, w.Header())
		return nil
	}
	w.outer.Restore(w.Header())
	middleware.Refuse(w.ResponseWriter, w.r, w.err)
	return w.err
}

func (w *writer) WriteHeader(status int) {
	informational := status < 200 && status != http.StatusSwitchingProtocols
	if !informational {
		_ = w.begin()
	}
	if w.err != nil {
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write fails after a failed save: the client has been sent the refusal.
func (w *writer) Write(p []byte) (int, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}

// ReadFrom keeps sendfile working.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return io.Copy(w.ResponseWriter, src)
}

func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController calls.
func (w *writer) FlushError() error {
	if err := w.begin(); err != nil {
		return err
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack saves first, and nothing afterwards. The cookie of a session that began in
// this request is lost, because the handler writes the response itself.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := w.begin(); err != nil {
		return nil, nil, err
	}
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
