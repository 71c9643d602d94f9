package live

import (
	"sync"
	"time"

	"github.com/securews/securews/internal/bounded"
)

// events are those that Config.Events has not been called for yet, on a goroutine that is
// there only while there are some: nothing waits for it.
type events struct {
	cfg *Config
	now func() int64

	mu        sync.Mutex
	waiting   []Event
	calling   bool
	idle      chan struct{} // closed when none waits; nil: no one waits for that
	dropped   int           // since the last report
	reported  uint64        // dropped before that
	panicked  int
	reporting int64 // when was last reported; 0: never
}

// add has the event delivered, or drops it if too many wait.
func (x *events) add(e Event) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.waiting) >= mostEvents(x.cfg.Limits) {
		x.dropped++
		return
	}
	x.waiting = append(x.waiting, e)
	if !x.calling {
		x.calling = true
		go x.deliver()
	}
}

// mostEvents is how many events may wait: that every connection ends at once, and another
// takes its place, does not drop one.
func mostEvents(l Limits) int { return 4 * max(l.Connections, 256) }

func (x *events) deliver() {
	var batch []Event
	for {
		if batch = x.take(batch); batch == nil {
			return
		}
		for i := range batch {
			x.deliverOne(&batch[i])
		}
	}
}

// take hands the events over, in exchange for the memory of the last; nil ends the goroutine.
func (x *events) take(empty []Event) []Event {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.waiting) == 0 {
		x.calling, x.waiting = false, nil
		if x.idle != nil {
			close(x.idle)
			x.idle = nil
		}
		return nil
	}
	clear(empty)
	batch := x.waiting
	x.waiting = empty[:0]
	return batch
}

func (x *events) deliverOne(e *Event) {
	defer func() {
		var err *bounded.PanicError
		if v := recover(); v != nil {
			err = bounded.Panicked(v)
		}
		x.report(err)
	}()
	x.cfg.Events(*e)
}

// reportPause is the least time between two reports.
const reportPause = 10 * time.Second

// report logs what Config.Events does wrong, once for many events.
func (x *events) report(panicked *bounded.PanicError) {
	x.mu.Lock()
	if panicked != nil {
		x.panicked++
	}
	now, dropped, panics := x.now(), x.dropped, x.panicked
	due := dropped+panics > 0 && (x.reporting == 0 || now-x.reporting >= int64(reportPause))
	if due {
		x.reported += uint64(x.dropped)
		x.reporting, x.dropped, x.panicked = now, 0, 0
	}
	x.mu.Unlock()
	switch {
	case due && panicked != nil:
		x.cfg.Log.Error("live: Config.Events panicked", "panics", panics, "dropped", dropped, "cause", panicked, "stack", panicked.Stack)
	case due:
		x.cfg.Log.Error("live: Config.Events is too slow, and events were dropped", "panics", panics, "dropped", dropped)
	}
}

// droppedInAll returns how many events were dropped since the registry was made.
func (x *events) droppedInAll() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.reported + uint64(x.dropped)
}

// eventsTimeout is how long Shutdown waits for the last calls of Config.Events.
const eventsTimeout = time.Second

// flush waits for the last of them.
func (x *events) flush() {
	x.mu.Lock()
	if !x.calling {
		x.mu.Unlock()
		return
	}
	if x.idle == nil {
		x.idle = make(chan struct{})
	}
	idle := x.idle
	x.mu.Unlock()
	returnsWithin(idle, eventsTimeout)
}
