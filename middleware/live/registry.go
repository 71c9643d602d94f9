package live

import (
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/securews/securews/internal/contextkey"
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

	open       atomic.Int64 // members, and those being opened
	told       atomic.Int64 // of those, how many have begun to end
	explaining atomic.Int64 // readable refusals under way

	draining atomic.Int64 // when the shutdown began; 0: it has not
	spread   atomic.Int64 // over how long it is spread
	hurry    atomic.Bool  // its context has ended
	mu       sync.Mutex
	awaited  int           // what Shutdown waits for
	idle     chan struct{} // closed when awaited is 0; nil: no call waits
}

// New compiles a configuration, or reports everything that is wrong with it. The registry
// runs goroutines only while something is open.
func New(cfg Config) (*Registry, error) {
	cfg, err := cfg.compile()
	if err != nil {
		return nil, err
	}
	g := &Registry{cfg: cfg, start: time.Now()}
	g.index.init()
	g.addresses.open = map[addressKey]*share{}
	g.wheel = &wheel{now: g.Now, wake: (*Binding).wake, slept: (*Binding).slept, lag: lag{behind: g.behind}}
	g.follows.of, g.follows.wait = map[*middleware.Auth]*follow{}, reportTimeout
	return g, nil
}

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

var errZero = errors.New("live: the zero Registry admits nothing: use New")

// Check reports whether there is room for the request's member: 503 `draining` or
// `overloaded`. It reserves nothing.
func (g *Registry) Check() error {
	if g.zero() {
		return errZero
	}
	return g.room(g.open.Load())
}

// room refuses one member more than the limit, beside those that are open.
func (g *Registry) room(open int64) error {
	switch {
	case g.draining.Load() != 0:
		return g.refuse(http.StatusServiceUnavailable, middleware.ReasonDraining, errors.New("live: Shutdown has begun"))
	case open >= int64(g.cfg.Limits.Connections):
		return g.refuse(http.StatusServiceUnavailable, middleware.ReasonOverloaded,
			fmt.Errorf("live: Limits.Connections is reached: %d", g.cfg.Limits.Connections))
	}
	return nil
}

// refuse returns a Refusal with a Retry-After between 2 and 8 seconds, so that clients
// refused together do not come back together.
func (g *Registry) refuse(status int, reason middleware.Reason, err error) error {
	return &middleware.Refusal{
		Status: status, Reason: reason, Err: err,
		Header: http.Header{"Retry-After": {strconv.Itoa(2 + mathrand.IntN(7))}},
	}
}

// Reserve reserves a place for a member that the request would open, or refuses: 503
// `draining` or `overloaded`, 429 `too_many_connections` of the client's address. b must be
// the zero Binding; it is left by [Binding.Leave].
func (g *Registry) Reserve(b *Binding, r *http.Request) error {
	if err := g.Check(); err != nil {
		return err
	}
	others, err := g.reserve(b, r, g.cfg.Limits.PerAddress)
	if err != nil {
		return err
	}
	if err := g.room(others); err != nil { // again, now that the place is taken
		b.Leave(nil)
		return err
	}
	return nil
}

// reserve counts a place, of at most perAddress of the client's address, and returns how
// many others there are.
func (g *Registry) reserve(b *Binding, r *http.Request, perAddress int) (others int64, err error) {
	share, ok := g.addresses.enter(g.clientKey(r), perAddress)
	if !ok {
		return 0, g.refuse(http.StatusTooManyRequests, middleware.ReasonTooManyConnections, fmt.Errorf(
			"live: Limits.PerAddress is reached: %d from %s; if that is a proxy, name it in "+
				"middleware.ProxiesConfig.Trusted and set Config.Proxies",
			perAddress, r.RemoteAddr))
	}
	b.init(g, reserved)
	b.share = share
	others = g.open.Add(1) - 1
	g.await(1)
	return others, nil
}

// Explain reserves a place for a connection that is completed only to report a refusal. It
// has no principal, is not ended by the registry and does not count as a member; false if
// Limits.ReadableRefusals is reached. Shutdown waits for it only if it came before. It is
// for the packages of this module, which pass contextkey.Key().
func (g *Registry) Explain(key contextkey.Ours, b *Binding, m Member) bool {
	if g.zero() || !key.Valid() {
		return false
	}
	if g.explaining.Add(1) > int64(g.cfg.Limits.ReadableRefusals) {
		g.explaining.Add(-1)
		return false
	}
	b.init(g, explaining)
	b.setMember(m)
	b.id = rand.Text()
	if g.await(1); g.draining.Load() != 0 {
		g.await(-1)
		b.stage.Store(explainingLate)
	}
	return true
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
