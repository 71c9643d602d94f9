package redial

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/securews/securews/ws"
)

// lifetime is the time from the opening of a connection to the cause of its end. The first
// cause wins.
type lifetime struct {
	ctx    context.Context // serve's
	cancel context.CancelCauseFunc
	cause  atomic.Pointer[ws.CloseError]
	over   chan struct{} // closed when there is a cause
	opened time.Time
	lived  time.Duration // set before over is closed
}

// begin starts the lifetime of a connection that ends with parent at the latest.
func (l *lifetime) begin(parent context.Context) {
	l.ctx, l.cancel = context.WithCancelCause(parent)
	l.over, l.opened = make(chan struct{}), time.Now()
}

// record sets the cause and reports whether it is the first.
func (l *lifetime) record(cause *ws.CloseError) bool {
	if !l.cause.CompareAndSwap(nil, cause) {
		return false
	}
	l.lived = time.Since(l.opened)
	close(l.over)
	l.cancel(cause)
	return true
}

// ended returns the cause, nil while the connection lives.
func (l *lifetime) ended() error {
	if cause := l.cause.Load(); cause != nil {
		<-l.ctx.Done() // soon: a caller that learns of the end finds the context ended
		return cause
	}
	return nil
}

// wait returns false if the connection ends during the delay.
func (l *lifetime) wait(delay time.Duration) bool {
	if delay <= 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.over:
		return false
	}
}
