package live

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/internal/opening"
	"github.com/securews/securews/middleware"
)

// response is a response that can be bound: the writer and the context that the handler
// gets, and the member that the registry ends. Its fields stand so that it takes 176 B.
type response struct {
	http.ResponseWriter // of the layers in front
	layer               *layer
	request             *http.Request   // of the layers in front; nil: it was hijacked
	outer               context.Context // of request

	binding     atomic.Pointer[Binding]     // nil: it is not a member
	derived     atomic.Pointer[derived]     // nil: no code has waited for the end of the context
	contextErr  atomic.Pointer[error]       // why the context has ended; nil: it has not
	ended       atomic.Pointer[responseEnd] // nil: it has not
	outerHeader atomic.Pointer[outerHeader] // nil: the handler has not asked for the header

	entry       sync.Once
	refusing    atomic.Bool // the grace is over: writes of the handler fail
	wroteHeader atomic.Bool // the header has been passed on
	eventStream atomic.Bool // it is a text/event-stream without an encoding
	returned    atomic.Bool // the handler has; no call may reach net/http

	writing sync.Mutex // held while the response is written
	body    written    // guarded by writing

	mu    sync.Mutex // never held while waiting; guards conn, timer, yielded, hijacked and cutting
	conn  *conn
	timer *time.Timer // of the next step of an end

	kind     requestKind
	called   bool // the handler has been
	finished bool // it has returned, and has not panicked; of the goroutine that serves
	yielded  bool // a ws.Handler binds the connection
	hijacked bool // by that ws.Handler
	cutting  bool // deadlines have been set in the past
}

// written is the state of a response: the parts that have been passed on.
type written struct {
	bytes     int64      // of the body
	lines     eventLines // of an event stream
	flushed   bool
	late      bool // the body was begun after the end
	refused   bool // a part of the body was not passed on
	lastEvent bool // the event that says why the stream ends
	webSocket bool // the header is a 101 to that protocol
}

// responseEnd is why a response ends: the cause, or the refusal of its entry.
type responseEnd struct {
	err   error
	cause *Cause // nil: the entry was refused
	at    int64  // in the time of [Registry.Now]
}

// serve calls the handler, and completes or aborts the response that it leaves. Its frame
// stays on the stack as long as the handler, and is small.
func (w *response) serve() {
	if !w.admit() {
		return
	}
	defer w.leave()
	w.called = true
	if r := w.boundRequest(); r.ProtoMajor == 1 {
		w.layer.next.ServeHTTP(response1{w}, r)
	} else {
		w.layer.next.ServeHTTP(response2{w}, r)
	}
	w.finished = true
	w.complete(false)
}

// leave completes or aborts the response of a handler that has aborted it since the end of its
// credential, as httputil.ReverseProxy does if its context ends, and takes it off the books.
// Other panics, and one before the end, go on.
func (w *response) leave() {
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

// enter makes the response a member, unless it is one. Its error is why the response has
// ended.
func (w *response) enter() error {
	w.entry.Do(func() { w.join(false) })
	if o := w.ended.Load(); o != nil {
		return o.err
	}
	return nil
}

// count is enter for a response that no limit refuses.
func (w *response) count() { w.entry.Do(func() { w.join(true) }) }

func (w *response) join(counted bool) {
	b := new(Binding)
	w.binding.Store(b)
	if err := w.bind(b, counted || w.wroteHeader.Load()); err != nil {
		b.Leave(nil)
		w.entryRefused(err)
		return
	}
	w.layer.logNoDeadlines(w.ResponseWriter, w.request)
	b.Open()
}

func (w *response) bind(b *Binding, counted bool) error {
	g := w.layer.registry
	v, _ := middleware.VoucherFrom(w.outer)
	if !counted {
		if err := g.Reserve(b, w.request); err != nil {
			return err
		}
		return b.Bind(w.outer, v, (*responseMember)(w))
	}
	if _, err := g.reserve(b, w.request, unlimited); err != nil {
		return err
	}
	return b.bind(w.outer, v, (*responseMember)(w), unlimited)
}

// entryRefused ends a response that has not become a member.
func (w *response) entryRefused(err error) {
	g := w.layer.registry
	cause, _ := causeOf(err)
	if w.wroteHeader.Load() || cause != nil && w.called && !w.kind.isSafe() { // perhaps it has had its effect
		if cause == nil {
			cause = Later.Wrap(err)
		}
		w.end(cause)
		return
	}
	if f, ok := errors.AsType[*middleware.Refusal](err); ok && f != nil {
		g.Refused(f.Reason)
	}
	w.ended.CompareAndSwap(nil, &responseEnd{err: err, at: g.Now()})
	w.cancel(err)
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
	w.layer.free(w.outerHeader.Swap(notKept))
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

// The causes of members that ended by themselves.
var (
	completed = &Cause{Code: 1000}
	panicked  = &Cause{Code: 1011, Reason: "internal"}
)

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

func (w *response) endedWith() *Cause {
	if o := w.ended.Load(); o != nil && o.cause != nil {
		return o.cause
	}
	return completed
}

// Yield lets a ws.Handler take the connection over, if it relies on the same Auth.
func (w *response) Yield(key contextkey.Ours, auth any) {
	v, _ := middleware.VoucherFrom(w.outer)
	b := w.binding.Load()
	if !key.Valid() || auth != any(v.Auth()) || b == nil {
		return
	}
	w.mu.Lock()
	w.yielded = true
	w.mu.Unlock()
	b.Leave(completed)
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
