package ws

import (
	"testing"

	"github.com/securews/securews/internal/outqueue"
)

// The queues of the workers, which a Group fills and empties with each message, keep their memory.
func TestWorkersKeepMemory(t *testing.T) {
	w := newWorkers()
	for name, queue := range map[string]*outqueue.Fifo[*outbound]{
		"pingers": &w.pingers.queue, "closers": &w.closers.queue, "senders": &w.senders.queue,
	} {
		n := testing.AllocsPerRun(10, func() {
			for range 4 * chunk {
				queue.Push(nil)
			}
			for range queue.All() {
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations for %d connections, want none", name, n, 4*chunk)
		}
	}
}
