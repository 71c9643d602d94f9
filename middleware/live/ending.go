package live

import "time"

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
