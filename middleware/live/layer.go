package live

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/securews/securews/internal/unwrap"
)

// layer is one use of [Registry.Handler].
type layer struct {
	registry *Registry
	next     http.Handler

	noVoucher, noDeadlines sync.Once // each is logged once
	outerHeaders           outerHeaders
}

func routeOf(r *http.Request) string {
	if r.Pattern != "" {
		return r.Pattern
	}
	return r.URL.Path
}

type deadliner interface{ SetWriteDeadline(time.Time) error }

// logNoDeadlines reports a layer in front that hides the deadlines of the connection: a
// handler that waits in a write cannot be cut.
func (l *layer) logNoDeadlines(w http.ResponseWriter, r *http.Request) {
	if _, ok := unwrap.As[deadliner](w); ok {
		return
	}
	l.noDeadlines.Do(func() {
		l.registry.cfg.Log.Warn("live: Handler: a layer in front hides SetWriteDeadline, so a handler that waits in a write cannot be "+
			"cut: give its ResponseWriter an Unwrap method",
			"route", routeOf(r), "writer", fmt.Sprintf("%T", unwrap.Innermost(w)))
	})
}
