package live

import "time"

// Leave removes the member from the registry and gives its place back. Cause is why it ended; nil
// if it was never open. Further calls do nothing.
func (b *Binding) Leave(cause *Cause) {
	stage, opened := b.remove()
	g := b.registry
	switch stage {
	case readableRefusal:
		g.readableRefusals.Add(-1)
		g.await(-1)
	case lateReadableRefusal:
		g.readableRefusals.Add(-1)
	case reserved, bound:
		g.addresses.leave(b.share)
		g.open.Add(-1)
		if opened && cause != nil {
			g.emit(Event{
				Kind: Ended, ID: b.ID(), Principal: *b.principal.Load(),
				Cause: cause, Lasted: time.Duration(g.Now() - b.opened.Load()),
			})
		}
		g.await(-1)
	}
}

// remove removes the binding from the wheel and the index. It returns the stage that the binding
// has left, and whether Open was called.
func (b *Binding) remove() (stage uint32, opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	stage = b.stage.Swap(left)
	if stage == left || stage == 0 {
		b.stage.Store(stage)
		return 0, false
	}
	opened = b.registry.wheel.remove(b)
	if stage == bound {
		b.registry.index.remove(b, b.principal.Load())
	}
	if b.ending.counted {
		b.registry.told.Add(-1)
	}
	return stage, opened
}
