package ws

import (
	"context"

	"github.com/securews/securews/middleware/live"
)

// link is what both directions of a connection share.
type link struct {
	rules   *rules
	binding live.Binding    // to the principal
	ctx     context.Context // ends with the connection
	cancel  context.CancelCauseFunc
	ending  ending
	times   times
	traffic traffic
}

func (l *link) now() int64 { return l.rules.now() }

// ended returns the cause, nil while the connection lives.
func (l *link) ended() error {
	if cause := l.ending.cause.Load(); cause != nil {
		<-l.ctx.Done() // at once: a caller that learns of the end finds the context ended
		return cause
	}
	return nil
}
