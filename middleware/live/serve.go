package live

import (
	"context"
	"io"
	"log/slog"
	"net/http"

	"github.com/securews/securews/internal/opening"
	"github.com/securews/securews/middleware"
)

// serve calls the handler, and completes or aborts the response that it leaves. Its frame
// stays on the stack as long as the handler, and is small.
func (w *response) serve() {
	if !w.admit() {
		return
	}
	defer w.completeAborted()
	w.called = true
	if r := w.boundRequest(); r.ProtoMajor == 1 {
		w.layer.next.ServeHTTP(response1{w}, r)
	} else {
		w.layer.next.ServeHTTP(response2{w}, r)
	}
	w.finished = true
	w.complete(false)
}

// completeAborted completes or aborts the response of a handler that has aborted it since the end of its
// credential, as httputil.ReverseProxy does if its context ends, and takes it off the books.
// Other panics, and one before the end, go on.
func (w *response) completeAborted() {
	defer w.finish()
	if w.finished || w.ended.Load() == nil {
		return
	}
	switch p := recover(); p {
	case nil: // runtime.Goexit
	case http.ErrAbortHandler:
		w.finished = true
		w.complete(true)
	default:
		panic(p)
	}
}

// admit enters a response that waits or streams by its request, or answers in place of the
// handler.
func (w *response) admit() bool {
	if !opening.IsHandshake(w.request) && !acceptsEventStream(w.request.Header) || w.enter() == nil {
		return true
	}
	w.finish()
	w.refuse(w.request, w.ended.Load())
	return false
}

// boundRequest returns the request that the handler gets.
func (w *response) boundRequest() *http.Request {
	r := w.request.WithContext((*lazyContext)(w))
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &requestBody{r.Body, w}
	}
	return r
}

// finish takes the response off the books, except for a hijacked connection, which goes on
// unless the handler panicked. No call for the response reaches net/http afterwards.
func (w *response) finish() {
	w.entry.Do(func() {}) // not any more
	w.logEnd()

	// Calls to net/http that have not seen returned hold writing or mu: wait for them.
	w.writing.Lock()
	w.returned.Store(true)
	w.writing.Unlock()
	w.mu.Lock()
	conn, timer := w.conn, w.timer
	w.mu.Unlock()
	w.layer.outerHeaders.free(w.outerHeader.Swap(notKept))
	b := w.binding.Load()
	switch {
	case b == nil, conn != nil && w.finished:
		return
	case conn != nil: // net/http leaves it open
		b.end(panicked)
		return
	}
	if timer != nil {
		timer.Stop()
	}
	w.cancel(context.Canceled)
	cause := w.endedWith()
	if cause == completed && !w.finished {
		cause = panicked
	}
	b.Leave(cause)
}

// logEnd adds the cause of the end to the request's line in the access log, by the names that
// package ws has in its own line.
func (w *response) logEnd() {
	o := w.ended.Load()
	if o == nil || o.cause == nil {
		return
	}
	end := []slog.Attr{slog.Int("code", int(o.cause.Code)), slog.String("reason", o.cause.Reason)}
	if o.cause.Err != nil {
		end = append(end, slog.Any("cause", o.cause.Err))
	}
	middleware.Annotate(w.outer, slog.GroupAttrs("end", end...))
}

// requestBody is a request's body. It fails when the writes of the response do.
type requestBody struct {
	io.ReadCloser
	w *response
}

func (b *requestBody) Read(p []byte) (int, error) {
	if o := b.w.ended.Load(); o != nil && b.w.refusing.Load() {
		return 0, o.err
	}
	return b.ReadCloser.Read(p)
}
