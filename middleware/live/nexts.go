package live

import "sync/atomic"

// nexts is whether Next is being called, and is to be called again.
type nexts struct{ state atomic.Uint32 } // one word, which keeps a Binding within 256 B

const (
	nextCalled = iota + 1
	nextAgain
	neverWaits // for good: the methods of the member return at once
)

func (n *nexts) prompt() bool { return n.state.Load() == neverWaits }

// begin reports whether the caller is to call.
func (n *nexts) begin() bool {
	if n.state.CompareAndSwap(0, nextCalled) {
		return true
	}
	if n.state.CompareAndSwap(nextCalled, nextAgain) || n.state.Load() == nextAgain {
		return false
	}
	return n.begin() // the call has ended meanwhile
}

// end reports whether to call again.
func (n *nexts) end() bool {
	if n.state.CompareAndSwap(nextCalled, 0) {
		return false
	}
	n.state.Store(nextCalled)
	return true
}
