package ws

import "sync"

// pool runs a task for connections on a bounded number of goroutines, which are
// there only while there is work.
type pool struct {
	task   func(*Conn)
	most   int
	worker func() // work

	mu      sync.Mutex
	queue   connQueue
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
	p.queue.push(c)
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

// take returns nil if the worker is to end.
func (p *pool) take() *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.queue.pop()
	if c == nil {
		p.workers--
	}
	return c
}

// connQueue holds connections in order.
type connQueue struct {
	conns []*Conn // from next on
	next  int
}

// maxKept is how long an empty queue may have been whose memory is kept.
const maxKept = 1024

func (q *connQueue) empty() bool { return q.next == len(q.conns) }

func (q *connQueue) push(c *Conn) {
	if len(q.conns) == cap(q.conns) && q.next > len(q.conns)/2 {
		n := copy(q.conns, q.conns[q.next:])
		clear(q.conns[n:])
		q.conns, q.next = q.conns[:n], 0
	}
	q.conns = append(q.conns, c)
}

// pop returns nil if the queue is empty.
func (q *connQueue) pop() *Conn {
	if q.empty() {
		q.conns, q.next = q.conns[:0], 0
		if cap(q.conns) > maxKept {
			q.conns = nil
		}
		return nil
	}
	c := q.conns[q.next]
	q.conns[q.next] = nil
	q.next++
	return c
}
