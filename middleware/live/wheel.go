package live

import (
	"sync"
	"time"
)

const (
	tick  = 250 * time.Millisecond
	slots = 256 // 64 s ahead; a binding that is due later is woken then, and filed again
)

// wheel wakes bindings at their next deadline. All deadlines of a binding share one place
// in it; to move a deadline back is one atomic store in the member, which returns its new
// time when it is woken. The goroutine of the wheel runs while there is a binding in it.
type wheel struct {
	now   func() int64                      // nanoseconds, monotonic
	wake  func(b *Binding, now int64) int64 // returns when to wake b next; 0: never again
	slept func(b *Binding, now, gap int64)  // called before wake if the lag has grown by gap
	lag   lag

	mu   sync.Mutex
	slot [slots]*Binding
	base int64 // tick 0: when the ticker was started, so that ticks are the ticker's
	at   int64 // the last tick that was handled
	n    int
	stop chan struct{} // ends the goroutine; nil: it is not there
	all  bool          // wake all at the next tick
}

// add files b, to be woken at when, at the latest in 64 s; false if it was added or removed
// before.
func (w *wheel) add(b *Binding, when int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b.place.gone || b.place.in {
		return false
	}
	b.place.in = true
	w.n++
	if w.stop == nil {
		w.stop = make(chan struct{})
		w.base, w.at = w.now(), 0
		w.lag.begin(w.base)
		go w.run(w.stop)
	}
	w.file(b, when)
	return true
}

// hasten moves b forward, if when is earlier than its time. Before add it does nothing.
func (w *wheel) hasten(b *Binding, when int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !b.place.in {
		return
	}
	if b.place.tick == 0 { // being woken, perhaps past the question: refile sees to it
		if b.place.soon == 0 || when < b.place.soon {
			b.place.soon = when
		}
		return
	}
	if b.place.tick <= w.tickOf(when) {
		return // soon enough
	}
	w.unlink(b)
	w.file(b, when)
}

// hastenAll wakes all bindings at the next tick.
func (w *wheel) hastenAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = true
}

// remove takes b out, for good; false if it was not in.
func (w *wheel) remove(b *Binding) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b.place.gone || !b.place.in {
		b.place.gone = true
		return false
	}
	if b.place.tick != 0 {
		w.unlink(b)
	}
	b.place.gone = true
	if w.n--; w.n == 0 {
		close(w.stop)
		w.stop = nil
	}
	return true
}

// tickOf is rounded up, so that a deadline has passed when its tick comes.
func (w *wheel) tickOf(when int64) int64 { return (when - w.base + int64(tick) - 1) / int64(tick) }

func (w *wheel) file(b *Binding, when int64) {
	t := min(max(w.tickOf(when), w.at+1), w.at+slots-1)
	head := &w.slot[t%slots]
	b.place.tick, b.place.prev, b.place.next = t, nil, *head
	if *head != nil {
		(*head).place.prev = b
	}
	*head = b
}

func (w *wheel) unlink(b *Binding) {
	if b.place.prev != nil {
		b.place.prev.place.next = b.place.next
	} else {
		w.slot[b.place.tick%slots] = b.place.next
	}
	if b.place.next != nil {
		b.place.next.place.prev = b.place.prev
	}
	b.place.tick, b.place.next, b.place.prev = 0, nil, nil
}

func (w *wheel) run(stop <-chan struct{}) {
	t := time.NewTicker(tick)
	defer t.Stop()
	var due []*Binding
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		clear(due)
		now := w.now()
		gap := w.lag.grown(now)
		if gap > 0 {
			w.hastenAll()
		}
		due = w.collect(due[:0])
		for _, b := range due {
			if gap > 0 {
				w.slept(b, now, gap)
			}
			w.refile(b, w.wake(b, w.now()))
		}
	}
}

// collect takes out the bindings that are due.
func (w *wheel) collect(due []*Binding) []*Binding {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := (w.now() - w.base) / int64(tick)
	steps := min(now-w.at, slots)
	if w.all {
		steps, w.all = slots, false
	}
	for i := int64(0); i < steps; i++ {
		s := (now - i) % slots
		if s < 0 {
			s += slots
		}
		for b := w.slot[s]; b != nil; b = w.slot[s] {
			w.unlink(b)
			due = append(due, b)
		}
	}
	w.at = max(w.at, now)
	return due
}

func (w *wheel) refile(b *Binding, when int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b.place.gone || when == 0 {
		return
	}
	if w.all {
		when = 0 // hastenAll came while b was being woken
	}
	if soon := b.place.soon; soon != 0 {
		when, b.place.soon = min(when, soon), 0
	}
	w.file(b, when)
}
