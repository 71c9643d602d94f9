package live

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/securews/securews/middleware"
)

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
