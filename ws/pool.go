package ws

import "sync"

// pool runs a task for connections on a bounded number of goroutines, which are
// there only while there is work.
type pool struct {
	task func(*Conn)
	most int

	mu      sync.Mutex
	queue   []*Conn
	workers int
}

func (p *pool) add(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, c)
	if p.workers < p.most {
		p.workers++
		go p.work()
	}
}

func (p *pool) work() {
	for {
		p.mu.Lock()
		if len(p.queue) == 0 {
			p.workers--
			p.queue = nil
			p.mu.Unlock()
			return
		}
		c := p.queue[0]
		p.queue = p.queue[1:]
		p.mu.Unlock()
		p.task(c)
	}
}
