package ws

import (
	"sync"
	"time"
)

const (
	tick  = 250 * time.Millisecond
	slots = 256 // 64 s ahead; what is due later is asked again then
)

// wheel wakes connections at their next deadline. All deadlines of a connection
// share one place in it; to move a deadline back is one atomic store in the Conn,
// which answers with its new time when it is woken. Its goroutine runs while there
// is a connection.
type wheel struct {
	now  func() int64                   // nanoseconds, monotonic
	wake func(c *Conn, now int64) int64 // returns when to wake c next; 0: never again

	mu   sync.Mutex
	slot [slots]*Conn
	base int64 // tick 0: when the ticker was started, so that ticks are the ticker's
	at   int64 // the last tick that was handled
	n    int
	stop chan struct{} // ends the goroutine; nil: it is not there
	all  bool          // wake everybody at the next tick
}

// place is a connection's place in the wheel, guarded by wheel.mu.
type place struct {
	next, prev *Conn
	tick       int64 // 0: not in a slot
	soon       int64 // hastened to, while out of its slot to be woken; 0: it was not
	gone       bool
}

// add files c, to be woken at when, at the latest in 64 s.
func (w *wheel) add(c *Conn, when int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	if w.stop == nil {
		w.stop = make(chan struct{})
		w.base, w.at = w.now(), 0
		go w.run(w.stop)
	}
	w.file(c, when)
}

// hasten moves c forward, if when is earlier than what it waits for.
func (w *wheel) hasten(c *Conn, when int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.place.tick == 0 { // being woken, perhaps past the question: refile sees to it
		if c.place.soon == 0 || when < c.place.soon {
			c.place.soon = when
		}
		return
	}
	if c.place.tick <= w.tickOf(when) {
		return // soon enough
	}
	w.unlink(c)
	w.file(c, when)
}

// hastenAll wakes everybody at the next tick.
func (w *wheel) hastenAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = true
}

func (w *wheel) remove(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.place.gone {
		return
	}
	if c.place.tick != 0 {
		w.unlink(c)
	}
	c.place.gone = true
	if w.n--; w.n == 0 {
		close(w.stop)
		w.stop = nil
	}
}

// tickOf is rounded up, so that what is due at a tick is past when it is looked at.
func (w *wheel) tickOf(when int64) int64 { return (when - w.base + int64(tick) - 1) / int64(tick) }

func (w *wheel) file(c *Conn, when int64) {
	t := min(max(w.tickOf(when), w.at+1), w.at+slots-1)
	head := &w.slot[t%slots]
	c.place.tick, c.place.prev, c.place.next = t, nil, *head
	if *head != nil {
		(*head).place.prev = c
	}
	*head = c
}

func (w *wheel) unlink(c *Conn) {
	if c.place.prev != nil {
		c.place.prev.place.next = c.place.next
	} else {
		w.slot[c.place.tick%slots] = c.place.next
	}
	if c.place.next != nil {
		c.place.next.place.prev = c.place.prev
	}
	c.place.tick, c.place.next, c.place.prev = 0, nil, nil
}

func (w *wheel) run(stop <-chan struct{}) {
	t := time.NewTicker(tick)
	defer t.Stop()
	var due []*Conn
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		clear(due)
		due = w.collect(due[:0])
		for _, c := range due {
			w.refile(c, w.wake(c, w.now()))
		}
	}
}

// collect takes out whoever is due.
func (w *wheel) collect(due []*Conn) []*Conn {
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
		for c := w.slot[s]; c != nil; c = w.slot[s] {
			w.unlink(c)
			due = append(due, c)
		}
	}
	w.at = max(w.at, now)
	return due
}

func (w *wheel) refile(c *Conn, when int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.place.gone || when == 0 {
		return
	}
	if w.all {
		when = 0 // hastenAll came while c was being woken
	}
	if soon := c.place.soon; soon != 0 {
		when, c.place.soon = min(when, soon), 0
	}
	w.file(c, when)
}
