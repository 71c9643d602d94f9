package live

import (
	"sync"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

// EventKind is the kind of an [Event].
type EventKind uint8

// The kinds of events.
const (
	Opened  EventKind = iota + 1 // a member is open
	Ended                        // it has ended, with Cause
	Refused                      // a request was refused, with Reason
	Stuck                        // a member does not return 10 s after its end; its resources cannot be reclaimed
)

// Event is something that happened to a member, or to a request that would have become one.
type Event struct {
	Kind      EventKind
	ID        string               // of the member; empty for Refused
	Principal middleware.Principal // must not be changed; zero for Refused
	Cause     *Cause               // of Ended
	Reason    middleware.Reason    // of Refused
	Lasted    time.Duration        // since it was opened; of Ended and Stuck
	Open      int                  // how many members there are now, those being opened included
}

// events are those that Config.Events has not been called for yet, on a goroutine that is
// there only while there are some: nothing waits for it.
type events struct {
	mu        sync.Mutex
	waiting   []Event
	calling   bool
	idle      chan struct{} // closed when none waits; nil: no one waits for that
	dropped   int           // since the last report
	reported  uint64        // dropped before that
	panicked  int
	reporting int64 // when was last reported; 0: never
}

func (g *Registry) emit(e Event) {
	if g.cfg.Events == nil {
		return
	}
	e.Open = int(g.open.Load())
	x := &g.events
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.waiting) >= mostEvents(g.cfg.Limits) {
		x.dropped++
		return
	}
	x.waiting = append(x.waiting, e)
	if !x.calling {
		x.calling = true
		go g.deliver()
	}
}

// mostEvents is how many events may wait: that every connection ends at once, and another
// takes its place, does not drop one.
func mostEvents(l Limits) int { return 4 * max(l.Connections, 256) }

func (g *Registry) deliver() {
	var batch []Event
	for {
		if batch = g.events.take(batch); batch == nil {
			return
		}
		for i := range batch {
			g.call(&batch[i])
		}
	}
}

// take hands the events over, in exchange for the memory of the last; nil ends the goroutine.
func (x *events) take(empty []Event) []Event {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.waiting) == 0 {
		x.calling, x.waiting = false, nil
		if x.idle != nil {
			close(x.idle)
			x.idle = nil
		}
		return nil
	}
	clear(empty)
	batch := x.waiting
	x.waiting = empty[:0]
	return batch
}

func (g *Registry) call(e *Event) {
	defer func() {
		var err *bounded.PanicError
		if v := recover(); v != nil {
			err = bounded.Panicked(v)
		}
		g.reportEvents(err)
	}()
	g.cfg.Events(*e)
}

// reportEvents logs what Config.Events does wrong, once for many events.
func (g *Registry) reportEvents(panicked *bounded.PanicError) {
	x := &g.events
	x.mu.Lock()
	if panicked != nil {
		x.panicked++
	}
	now, dropped, panics := g.Now(), x.dropped, x.panicked
	due := dropped+panics > 0 && (x.reporting == 0 || now-x.reporting >= int64(retryRecheck))
	if due {
		x.reported += uint64(x.dropped)
		x.reporting, x.dropped, x.panicked = now, 0, 0
	}
	x.mu.Unlock()
	switch {
	case due && panicked != nil:
		g.cfg.Log.Error("live: Config.Events panicked", "panics", panics, "dropped", dropped, "cause", panicked, "stack", panicked.Stack)
	case due:
		g.cfg.Log.Error("live: Config.Events is too slow, and events were dropped", "panics", panics, "dropped", dropped)
	}
}

// droppedInAll returns how many events were dropped since the registry was made.
func (x *events) droppedInAll() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.reported + uint64(x.dropped)
}

// eventsTimeout is how long Shutdown waits for the last calls of Config.Events.
const eventsTimeout = time.Second

func (g *Registry) flushEvents() {
	x := &g.events
	x.mu.Lock()
	if !x.calling {
		x.mu.Unlock()
		return
	}
	if x.idle == nil {
		x.idle = make(chan struct{})
	}
	idle := x.idle
	x.mu.Unlock()
	returnsWithin(idle, eventsTimeout)
}

// Watched reports whether there is a Config.Events.
func (g *Registry) Watched() bool { return g.cfg.Events != nil }

// Refused reports a refusal to Config.Events, for handlers that refuse what would have
// become a member.
func (g *Registry) Refused(reason middleware.Reason) { g.emit(Event{Kind: Refused, Reason: reason}) }
