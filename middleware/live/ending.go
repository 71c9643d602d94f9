package live

import (
	"sync/atomic"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/contextkey"
)

// ending is how far the end of a binding has come. Its plain fields are guarded by
// Binding.mu.
type ending struct {
	at       atomic.Int64 // when it began; 0: it has not
	next     *Cause       // to be told when End returns
	telling  bool         // End is being called
	final    bool         // End was called with a final cause, or will be
	counted  bool         // in Registry.told
	stuck    bool         // was reported; of the wheel's goroutine
	panicked atomic.Bool  // was logged
}

// Ending says that the member ends by itself: its credential is not asked about any more.
// A revocation still reaches it.
func (b *Binding) Ending() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begin()
}

// begin begins the end, if it has not begun.
func (b *Binding) begin() (first bool) {
	if !b.ending.at.CompareAndSwap(0, b.registry.Now()) {
		return false
	}
	if b.stage.Load() == bound {
		b.ending.counted = true
		b.registry.told.Add(1)
	}
	return true
}

// end ends the member. A final cause overrules another one, since the data that a member
// sends while it ends in good order is not for a principal without a credential.
func (b *Binding) end(cause *Cause) {
	c := b.decide(cause)
	switch {
	case c == nil:
	case b.nexts.prompt():
		b.tellEach(c)
	default:
		go b.tellEach(c)
	}
}

func (b *Binding) tellEach(c *Cause) {
	for ; c != nil; c = b.overruled() {
		b.tell(c)
	}
}

// decide returns the cause if the caller is to tell it to the member.
func (b *Binding) decide(cause *Cause) *Cause {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := &b.ending
	switch {
	case b.stage.Load() != bound:
		return nil
	case !b.begin() && (e.final || !final(cause)):
		return nil
	}
	e.final = final(cause)
	if e.telling {
		e.next = cause
		return nil
	}
	e.telling = true
	return cause
}

// overruled returns the final cause that came while End was being called, or nil.
func (b *Binding) overruled() *Cause {
	b.mu.Lock()
	defer b.mu.Unlock()
	cause := b.ending.next
	b.ending.next, b.ending.telling = nil, cause != nil
	return cause
}

func (b *Binding) tell(cause *Cause) {
	defer b.contain("End")
	b.member.End(cause)
}

// prompt is implemented by the members of this module, whose methods return at once. Those
// of other code are called in goroutines, one for each method at a time, so that one which
// does not return holds up nothing else.
type prompt interface{ Prompt(contextkey.Ours) }

func (b *Binding) setMember(m Member) {
	b.member = m
	if _, ok := m.(prompt); ok {
		b.nexts.state.Store(neverWaits)
	}
}

// nextOf returns what Next returns; 0 if that is not known yet, and Hasten will say it.
func (b *Binding) nextOf(now int64) (due int64) {
	if b.nexts.prompt() {
		return b.callNext(now)
	}
	if b.nexts.begin() {
		go b.callNexts()
	}
	return 0
}

func (b *Binding) callNext(now int64) (due int64) {
	defer b.contain("Next")
	return b.member.Next(now, b.registry.hurry.Load())
}

func (b *Binding) callNexts() {
	for again := true; again; again = b.nexts.end() {
		if due := b.callNext(b.registry.Now()); due != 0 {
			b.Hasten(due)
		}
	}
}

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

// contain recovers from a panic of the member, so that it harms no other one. The
// deadlines of its credential are kept anyway.
func (b *Binding) contain(method string) {
	v := recover()
	if v == nil || !b.ending.panicked.CompareAndSwap(false, true) {
		return
	}
	err := bounded.Panicked(v)
	b.registry.cfg.Log.Error("live: a Member panicked; its further panics are not logged",
		"method", method, "id", b.id, "cause", err, "stack", err.Stack)
}

// stuckAfter is when a member that has ended and does not leave is reported.
const stuckAfter = 10 * time.Second

// reportStuck reports once a member whose code does not return though it has ended, and
// returns when to look.
func (b *Binding) reportStuck(now, ended int64) int64 {
	at := ended + int64(stuckAfter)
	switch {
	case b.stage.Load() != bound || b.ending.stuck:
		return 0
	case now < at:
		return at
	}
	b.ending.stuck = true
	p := *b.principal.Load()
	// Apart: a log that blocks does not hold the deadlines of all the others.
	go b.registry.cfg.Log.Error("live: a member has not returned 10 s after its end; what it holds cannot be taken back",
		"id", b.id, "principal", p)
	b.registry.emit(Event{Kind: Stuck, ID: b.id, Principal: p, Lasted: time.Duration(now - b.opened.Load())})
	return 0
}
