package live

import (
	"time"

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
	Lasted    time.Duration        // since its place was reserved; of Ended and Stuck
	Open      int                  // how many members there are now, those being opened included
}
