package live

import "time"

const (
	// askTimeout bounds one question. No request waits for it, so it is longer than what an
	// Auth has for a request.
	askTimeout = 5 * time.Second

	// retryRecheck is when a question without an answer is asked again, less up to half.
	retryRecheck = 10 * time.Second

	// soonestRecheck is when a question is asked again at the earliest, whatever its answer asks for.
	soonestRecheck = 500 * time.Millisecond
)

// question is the state of a binding's credential. It is guarded by Binding.mu.
type question struct {
	due      int64   // when to ask again; 0: it is being asked, or waits for that
	waits    int64   // since when it waits to be asked; 0: it does not
	good     int64   // when the last good answer came, plus the time spent waiting since
	reports  uint32  // that the subject ended
	cleared  uint32  // how many of those a good answer followed
	answered uint32  // how many of those any answer followed, and its End
	queued   [2]bool // whether it is in recheckQueue.waiting, by urgency
	covers   bool    // whether the last question came after all reports
}

// lastGood is good with the present wait. Time spent waiting does not count as time without
// an answer as long as the Auth answers others.
func (q *question) lastGood(answered int64) int64 {
	if q.waits == 0 {
		return q.good
	}
	return q.good + max(0, answered-q.waits)
}

// renew takes the voucher of a credential for a good answer. The next question is due after the
// pause.
func (q *question) renew(now, pause int64) {
	q.good, q.waits, q.due, q.cleared, q.answered, q.queued = now, 0, now+pause, q.reports, q.reports, [2]bool{}
}
