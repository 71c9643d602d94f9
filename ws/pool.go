package ws

import (
	"sync"

	"github.com/securews/securews/internal/outqueue"
)

// pool runs a task for members of a queue on a bounded number of goroutines, which are
// there only while there is work.
type pool[T any] struct {
	task   func(T)
	most   int
	worker func() // work

	mu      sync.Mutex
	queue   outqueue.Fifo[T]
	workers int
}

// keptQueue is for how many connections the queues of a Handler's workers keep memory.
const keptQueue = 1024

func newPool[T any](most int, task func(T)) *pool[T] {
	p := &pool[T]{task: task, most: most, queue: outqueue.Fifo[T]{Keep: keptQueue}}
	p.worker = p.work
	return p
}

func (p *pool[T]) add(v T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue.Push(v)
	if p.workers < p.most {
		p.workers++
		go p.worker() // not p.work: that would allocate
	}
}

func (p *pool[T]) work() {
	for {
		v, ok := p.take()
		if !ok {
			return
		}
		p.task(v)
	}
}

// take returns false if the worker is to end.
func (p *pool[T]) take() (v T, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok = p.queue.Pop()
	if !ok {
		p.workers--
	}
	return v, ok
}
