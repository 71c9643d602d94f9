package live

import "sync"

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
}

func (q *questions) add(b *Binding, urgency int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting[urgency] = append(q.waiting[urgency], b)
	if q.workers < maxAsking {
		q.workers++
		go q.work()
	}
}

func (q *questions) work() {
	for b := q.take(); b != nil; b = q.take() {
		q.task(b)
	}
}

// take returns the next binding, an urgent one first; nil: there is none, and the worker
// ends.
func (q *questions) take() *Binding {
	q.mu.Lock()
	defer q.mu.Unlock()
	for urgency := len(q.waiting) - 1; urgency >= 0; urgency-- {
		if w := q.waiting[urgency]; len(w) > 0 {
			b := w[0]
			w[0] = nil
			q.waiting[urgency] = w[1:]
			return b
		}
	}
	q.workers--
	q.waiting = [2][]*Binding{}
	return nil
}
