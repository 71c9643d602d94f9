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

// recheckQueue has the bindings of one Auth that wait to be asked about, on goroutines that
// are there only while there is work.
type recheckQueue struct {
	task func(*Binding)

	mu      sync.Mutex
	waiting [2][]*Binding // by urgency
	workers int
	awaited map[*Binding]chan struct{} // closed when a question about it has been answered, or dropped
}

func (q *recheckQueue) add(b *Binding, urgency int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting[urgency] = append(q.waiting[urgency], b)
	if q.workers < maxAsking {
		q.workers++
		go q.work()
	}
}

func (q *recheckQueue) work() {
	for b := q.take(); b != nil; b = q.take() {
		q.task(b)
		q.wake(b)
	}
}

// wake wakes the calls of awaitAnswers that wait for an answer about b.
func (q *recheckQueue) wake(b *Binding) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if done := q.awaited[b]; done != nil {
		close(done)
		delete(q.awaited, b)
	}
}

func (q *recheckQueue) await(b *Binding) <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.awaited == nil {
		q.awaited = map[*Binding]chan struct{}{}
	}
	if q.awaited[b] == nil {
		q.awaited[b] = make(chan struct{})
	}
	return q.awaited[b]
}

// report is one of the ends of its subject that were reported to a binding.
type report struct {
	*Binding
	number uint32
}

// answered reports whether an answer has followed, or none is needed any more.
func (r report) answered() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stage.Load() != bound || int32(r.question.answered-r.number) >= 0
}

// awaitAnswers waits until these reports are answered, at most as long as given. It does not wait
// for questions about others.
func (q *recheckQueue) awaitAnswers(reports []report, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	for _, r := range reports {
		for !r.answered() {
			done := q.await(r.Binding)
			if r.answered() { // before there was anything to close
				q.wake(r.Binding)
				break
			}
			select {
			case <-done:
			case <-timer.C:
				return
			}
		}
	}
}

// take returns the next binding, an urgent one first; nil: there is none, and the worker
// ends.
func (q *recheckQueue) take() *Binding {
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
