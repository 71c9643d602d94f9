package ws

import "sync"

// pool runs a task for connections on a bounded number of goroutines, which are
// there only while there is work.
type pool struct {
	task   func(*Conn)
	most   int
	worker func() // work

	mu      sync.Mutex
	queue   []*Conn // from next on
	next    int
	workers int
}

func newPool(most int, task func(*Conn)) *pool {
	p := &pool{task: task, most: most}
	p.worker = p.work
	return p
}

func (p *pool) add(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == cap(p.queue) && p.next > len(p.queue)/2 {
		n := copy(p.queue, p.queue[p.next:])
		clear(p.queue[n:])
		p.queue, p.next = p.queue[:n], 0
	}
	p.queue = append(p.queue, c)
	if p.workers < p.most {
		p.workers++
		go p.worker() // not p.work: that would allocate
	}
}

func (p *pool) work() {
	for {
		c := p.take()
		if c == nil {
			return
		}
		p.task(c)
	}
}

// maxKept is how long a queue may be whose memory is kept.
const maxKept = 1024

// take returns nil if the worker is to end.
func (p *pool) take() *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == len(p.queue) {
		p.workers--
		p.queue, p.next = p.queue[:0], 0
		if cap(p.queue) > maxKept {
			p.queue = nil
		}
		return nil
	}
	c := p.queue[p.next]
	p.queue[p.next] = nil
	p.next++
	return c
}
