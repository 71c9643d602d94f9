package live

import (
	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/contextkey"
)

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

func (b *Binding) tell(cause *Cause) {
	defer b.contain("End")
	b.member.End(cause)
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

// Hasten has Member.Next called at the given time, if that is earlier than planned.
func (b *Binding) Hasten(at int64) { b.registry.wheel.hasten(b, at) }

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
