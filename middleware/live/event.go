package live

import (
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
	Stuck                        // a member does not return 10 s after its end; what it holds cannot be taken back
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

func (g *Registry) emit(e Event) {
	if g.cfg.Events == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			err := bounded.Panicked(v)
			g.cfg.Log.Error("live: Config.Events panicked", "cause", err, "stack", err.Stack)
		}
	}()
	e.Open = int(g.open.Load())
	g.cfg.Events(e)
}

// Watched reports whether there is a Config.Events.
func (g *Registry) Watched() bool { return g.cfg.Events != nil }

// Refused reports a refusal to Config.Events, for handlers that refuse what would have
// become a member.
func (g *Registry) Refused(reason middleware.Reason) { g.emit(Event{Kind: Refused, Reason: reason}) }
