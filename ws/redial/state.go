package redial

import "time"

// State is what Config.OnState is told.
type State struct {
	Phase Phase
	ID    string        // of the connection, where the server gives it one; Connected
	Delay time.Duration // until the next dial; Waiting
	Cause error         // why; Waiting and Closed. nil at Closed: serve returned nil
}

// Phase is where a client stands.
type Phase int

// A client begins with Connecting, which leads to Connected, Waiting or Closed. Connected
// leads to Waiting or Closed, and to Connected where a connection took the place of another
// before its credential expired. Waiting leads to Connecting or Closed.
const (
	Connecting Phase = iota + 1
	Connected
	Waiting
	Closed
)

// String is the phase's word.
func (p Phase) String() string {
	switch p {
	case Connecting:
		return "connecting"
	case Connected:
		return "connected"
	case Waiting:
		return "waiting"
	case Closed:
		return "closed"
	}
	return "none"
}
