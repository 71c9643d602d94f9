package live

import (
	"errors"
	mathrand "math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/securews/securews/internal/setting"
	"github.com/securews/securews/middleware"
)

// Registry owns the members of a process. It is safe for concurrent use. The zero value
// admits nothing.
type Registry struct {
	cfg   Config
	start time.Time

	index     index
	addresses addresses
	wheel     *wheel
	follows   follows
	events    events
	counters  counters
	warned    atomic.Int64 // when an unanswered question was last logged

	open             atomic.Int64 // members, and those being opened
	told             atomic.Int64 // of those, how many have begun to end
	readableRefusals atomic.Int64 // readable refusals under way

	draining atomic.Int64 // when the shutdown began; 0: it has not
	spread   atomic.Int64 // over how long it is spread
	hurry    atomic.Bool  // its context has ended
	mu       sync.Mutex
	awaited  int           // what Shutdown waits for
	idle     chan struct{} // closed when awaited is 0; nil: no call waits
}

var errZero = errors.New("live: the zero Registry admits nothing: use New")

func (g *Registry) zero() bool { return g == nil || g.wheel == nil }

// Now is the time in which a [Member] keeps its deadlines: nanoseconds since the registry
// was made, by the monotonic clock, so that a wall clock that is set back keeps no member for
// ever. It is never 0. That clock may stop while the machine is suspended. Credentials, MaxAge and
// rechecks are kept as though it had not: then, and when the wall clock is set ahead.
func (g *Registry) Now() int64 { return 1 + int64(time.Since(g.start)) }

// until returns the given time, by the wall clock, in the time of Now; 0: too far away to
// matter, since every member ends before.
func (g *Registry) until(t time.Time) int64 {
	d := time.Until(t.Round(0))
	if t.IsZero() || d > setting.MaxTime {
		return 0
	}
	return max(1, g.Now()+int64(d))
}

// behind returns how far the time now is behind the wall clock.
func (g *Registry) behind(now int64) int64 {
	return int64(time.Now().Round(0).Sub(g.start.Round(0))) - now
}

// wallTime returns a time of Now by the wall clock.
func (g *Registry) wallTime(at int64) time.Time {
	return g.start.Round(0).Add(time.Duration(at + g.wheel.lag.known.Load()))
}

// refuse returns a Refusal with a Retry-After between 2 and 8 seconds, so that clients
// refused together do not come back together.
func (g *Registry) refuse(status int, reason middleware.Reason, err error) error {
	return &middleware.Refusal{
		Status: status, Reason: reason, Err: err,
		Header: http.Header{"Retry-After": {strconv.Itoa(2 + mathrand.IntN(7))}},
	}
}

// await changes the number of members that Shutdown waits for.
func (g *Registry) await(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.awaited += n
	if g.awaited == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// emit has Config.Events called, if there is one.
func (g *Registry) emit(e Event) {
	if g.Watched() {
		e.Open = int(g.open.Load())
		g.events.add(e)
	}
}

// Watched reports whether there is a Config.Events.
func (g *Registry) Watched() bool { return g.cfg.Events != nil }

// Refused reports a refusal to Config.Events, for handlers that refuse what would have
// become a member.
func (g *Registry) Refused(reason middleware.Reason) { g.emit(Event{Kind: Refused, Reason: reason}) }
