package live

import (
	"context"
	"errors"
	"io"
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

	binding atomic.Pointer[Binding] // nil: it is not a member
	derived atomic.Pointer[derived] // nil: no code has waited for the end of the context
	over    atomic.Pointer[error]   // why the context has ended
	ended   atomic.Pointer[outcome]
	before  atomic.Pointer[before] // nil: the handler has not asked for the header

	entry    sync.Once
	refusing atomic.Bool // the handler has had its time: its writes fail
	out      atomic.Bool // the header has been passed on
	events   atomic.Bool // it is a text/event-stream without an encoding

	writing sync.Mutex // held while the response is written
	body    written    // guarded by writing

	life  sync.Mutex // never held while waiting; guards conn, timer and the bools below finished
	conn  *conn
	timer *time.Timer // of the next step of an end

	kind     kind
	called   bool // the handler has been
	finished bool // it has returned, and has not panicked; of the goroutine that serves

	returned bool
	yielded  bool
	gone     bool // hijacked since
	cutting  bool // deadlines have been set in the past
}

// written is the state of the body so far.
type written struct {
	bytes    int64
	lines    eventLines // of an event stream
	flushed  bool
	late     bool // begun since the end
	refused  bool // a part of it
	said     bool // the last event
	returned bool

	webSocket bool // the header is a 101 to that protocol
}

// outcome is why a response ends: the cause, or the refusal of its entry.
type outcome struct {
	err   error
	cause *Cause // nil: it was refused
	at    int64
}

// serve calls the handler, and completes or aborts the response that it leaves. Its frame
// stays on the stack as long as the handler, and is small.
func (w *response) serve() {
	if !w.admitted() {
		return
	}
	defer w.finish()
	w.called = true
	if r := w.bound(); r.ProtoMajor == 1 {
		w.layer.next.ServeHTTP(response1{w}, r)
	} else {
		w.layer.next.ServeHTTP(response2{w}, r)
	}
	w.finished = true
	w.complete()
}

// admitted enters a response that waits or streams by its request, or answers in place of the
// handler.
func (w *response) admitted() bool {
	if !opening.IsHandshake(w.request) && !accepts(w.request.Header, eventStream) || w.enter() == nil {
		return true
	}
	w.finish()
	w.refuse(w.request, w.ended.Load())
	return false
}

// bound returns the request that the handler gets.
func (w *response) bound() *http.Request {
	r := w.request.WithContext((*lazyContext)(w))
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &requestBody{r.Body, w}
	}
	return r
}

// enter makes the response a member, unless it is one. Its error is why the response has
// ended.
func (w *response) enter() error { return w.enterAs(false) }

// enterAs enters; a member that is only counted is refused by no limit.
func (w *response) enterAs(counted bool) error {
	w.entry.Do(func() { w.join(counted) })
	if o := w.ended.Load(); o != nil {
		return o.err
	}
	return nil
}

func (w *response) join(counted bool) {
	b := new(Binding)
	w.binding.Store(b)
	if err := w.bind(b, counted || w.out.Load()); err != nil {
		b.Leave(nil)
		w.refused(err)
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

// refused ends a response that has not become a member.
func (w *response) refused(err error) {
	g := w.layer.registry
	cause, _ := causeOf(err)
	if w.out.Load() || cause != nil && w.called && !w.kind.isSafe() { // perhaps it has had its effect
		if cause == nil {
			cause = Later.Wrap(err)
		}
		w.end(cause)
		return
	}
	if f, ok := errors.AsType[*middleware.Refusal](err); ok && f != nil {
		g.Refused(f.Reason)
	}
	w.ended.CompareAndSwap(nil, &outcome{err: err, at: g.Now()})
	w.cancel(err)
}

// finish takes the response off the books, except for a hijacked connection, which goes on
// unless the handler panicked. No call for the response reaches net/http afterwards.
func (w *response) finish() {
	w.entry.Do(func() {}) // not any more
	w.writing.Lock()
	w.body.returned = true
	w.writing.Unlock()
	w.life.Lock()
	w.returned = true
	conn, timer := w.conn, w.timer
	w.life.Unlock()
	w.layer.free(w.before.Swap(notKept))
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
	w.life.Lock()
	w.yielded = true
	w.life.Unlock()
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
