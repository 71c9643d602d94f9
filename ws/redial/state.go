package redial

import "time"

// State is the argument of Config.OnState.
type State struct {
	Phase Phase
	ID    string        // of the connection, if the server assigns one; Open
	Delay time.Duration // until the next dial; Waiting
	Cause error         // of Waiting and Closed. nil at Closed: serve returned nil
}

// Phase is the phase of a client. The names are those of the states in ws/browser.
type Phase int

// A client begins with Connecting, which leads to Open, Waiting or Closed. Open leads to
// Waiting or Closed, and to Open when a connection is replaced before its credential
// expires. Waiting leads to Connecting or Closed.
const (
	Connecting Phase = iota + 1
	Open
	Waiting
	Closed
)

// String returns the phase in lower case.
func (p Phase) String() string {
	switch p {
	case Connecting:
		return "connecting"
	case Open:
		return "open"
	case Waiting:
		return "waiting"
	case Closed:
		return "closed"
	}
	return "none"
}
