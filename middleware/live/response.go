package live

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// response is a response that can be bound: the writer and the context that the handler
// gets, and the member that the registry ends. Its fields stand so that it takes 176 B.
type response struct {
	http.ResponseWriter // of the layers in front
	layer               *layer
	request             *http.Request // of the layers in front; nil: it was hijacked
	contextState

	binding     atomic.Pointer[Binding]     // nil: it is not a member
	ended       atomic.Pointer[responseEnd] // nil: it has not
	outerHeader atomic.Pointer[outerHeader] // nil: the handler has not asked for the header

	entry       sync.Once
	refusing    atomic.Bool // the grace is over: writes of the handler fail
	wroteHeader atomic.Bool // the header has been passed on
	eventStream atomic.Bool // it is a text/event-stream without an encoding
	returned    atomic.Bool // the handler has; no call may reach net/http

	writing  sync.Mutex // held while the response is written
	kind     requestKind
	called   bool    // the handler has been
	finished bool    // it has returned, and has not panicked; of the goroutine that serves
	body     written // guarded by writing

	connState
}

// connState is the state of the connection below a response. Its fields are guarded by mu.
type connState struct {
	mu       sync.Mutex // never held while waiting
	conn     *conn
	timer    *time.Timer // of the next step of an end
	yielded  bool        // a ws.Handler binds the connection
	hijacked bool        // by that ws.Handler
	cutting  bool        // deadlines have been set in the past
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
