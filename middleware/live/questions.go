package live

import (
	"sync"
	"time"
)

// maxAsking is how many questions to one Auth are under way at once. It leaves room for those
// of requests.
const maxAsking = 64

// The urgency of a question: after a revocation of its subject, it comes before the others.
const (
	routine = iota
	urgent
)

// questions are the bindings of one Auth that wait to be asked about, on goroutines that
// are there only while there is work.
type questions struct {
	task func(*Binding)

	mu      sync.Mutex
	waiting [2][]*Binding // by urgency
	workers int
	urgent  int           // of these, how many wait or are being asked
	settled chan struct{} // closed when urgent is 0; nil: no caller waits for that
}

func (q *questions) add(b *Binding, urgency int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting[urgency] = append(q.waiting[urgency], b)
	q.urgent += urgency
	if q.workers < maxAsking {
		q.workers++
		go q.work()
	}
}

func (q *questions) work() {
	for b, urgency := q.take(); b != nil; b, urgency = q.take() {
		q.task(b)
		q.count(-urgency)
	}
}

// count counts urgent questions that begin or, if n is negative, have been answered.
func (q *questions) count(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.urgent += n; q.urgent == 0 && q.settled != nil {
		close(q.settled)
		q.settled = nil
	}
}

// settle waits until the urgent questions are answered, at most as long as given.
func (q *questions) settle(most time.Duration) {
	q.mu.Lock()
	if q.urgent == 0 {
		q.mu.Unlock()
		return
	}
	if q.settled == nil {
		q.settled = make(chan struct{})
	}
	settled := q.settled
	q.mu.Unlock()
	returnsWithin(settled, most)
}

// take returns the next binding, an urgent one first; nil: there is none, and the worker
// ends.
func (q *questions) take() (b *Binding, urgency int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for urgency := len(q.waiting) - 1; urgency >= 0; urgency-- {
		if w := q.waiting[urgency]; len(w) > 0 {
			b := w[0]
			w[0] = nil
			q.waiting[urgency] = w[1:]
			return b, urgency
		}
	}
	q.workers--
	q.waiting = [2][]*Binding{}
	return nil, routine
}
