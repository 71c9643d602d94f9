package middleware

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	refusalBurst  = 100 // lines of one reason at once
	refusalRate   = 10  // and then a second
	mostReasons   = 128 // reasons with a limit of their own; the others share one
	sharedReasons = Reason("")
)

// refusalLimit bounds the lines that refusals write, for each reason apart. The zero value
// is ready. It is safe for concurrent use.
type refusalLimit struct {
	mu sync.Mutex
	of map[Reason]*reasonLimit
}

type reasonLimit struct {
	rate       *rate.Limiter
	suppressed int64 // since the last line
}

// allow reports whether a line is written, and how many were suppressed before it.
func (l *refusalLimit) allow(reason Reason) (suppressed int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.of[reason]
	if of == nil && len(l.of) >= mostReasons {
		reason = sharedReasons
		of = l.of[reason]
	}
	if of == nil {
		if l.of == nil {
			l.of = map[Reason]*reasonLimit{}
		}
		of = &reasonLimit{rate: rate.NewLimiter(refusalRate, refusalBurst)}
		l.of[reason] = of
	}
	if !of.rate.AllowN(time.Now(), 1) {
		of.suppressed++
		return 0, false
	}
	suppressed, of.suppressed = of.suppressed, 0
	return suppressed, true
}
