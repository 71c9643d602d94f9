package live_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/securews/securews/middleware/live"
)

// numbers are 1, 2, 3, …, which one side sends, each with the time at which it began to.
type numbers struct {
	mu sync.Mutex
	at []time.Time
}

func (n *numbers) next() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.at = append(n.at, time.Now())
	return len(n.at)
}

func (n *numbers) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.at)
}

func (n *numbers) sentAt(i int) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.at[i-1]
}

// highest is the highest number that the other side has got.
type highest struct{ atomic.Int64 }

func (h *highest) note(n int) {
	for {
		old := h.Load()
		if int64(n) <= old || h.CompareAndSwap(old, int64(n)) {
			return
		}
	}
}

// cell is one combination of the matrix: a consumer that was opened with the credential of a
// user.
type cell struct {
	id       string
	user     *user
	consumer consumer

	produced  numbers     // by the handler
	delivered highest     // to the client
	renewed   atomic.Bool // opened by a principal with the roles of after the event
	sent      numbers     // by the client
	accepted  highest     // by the handler

	waiting, left, answers chan struct{} // of a long poll: it waits, its context has ended, it may answer
	once                   [2]sync.Once  // for the first two
	closed                 chan struct{} // the client has read the end
	end                    string        // then: how it ended

	mu           sync.Mutex
	acknowledged mark
	problems     []string
}

// mark is how far both sides were when an event was acknowledged.
type mark struct{ produced, sent int }

func newCell(u *user, x consumer) *cell {
	c := &cell{
		id: fmt.Sprintf("%s, %s, %d", u.name, x.name, len(u.cells)), user: u, consumer: x,
		waiting: make(chan struct{}), left: make(chan struct{}), answers: make(chan struct{}), closed: make(chan struct{}),
	}
	u.site.cells.Store(c.id, c)
	return c
}

func (c *cell) problem(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

func (c *cell) acknowledge() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acknowledged = mark{c.produced.count(), c.sent.count()}
}

func (c *cell) atAcknowledgement() mark {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.acknowledged
}

// ended says how the client has seen its response end.
func (c *cell) ended(format string, args ...any) {
	c.end = fmt.Sprintf(format, args...)
	close(c.closed)
}

// patience is how long a test waits for something that comes at once.
const patience = 20 * time.Second

func within(c <-chan struct{}, d time.Duration) bool {
	select {
	case <-c:
		return true
	case <-time.After(d):
		return false
	}
}

// advances waits until numbers above these have come through in both directions; false if the
// response ends before.
func (c *cell) advances(beyond mark) bool {
	deadline := time.After(patience)
	for {
		out := !c.consumer.delivers || c.delivered.Load() > int64(beyond.produced)
		in := !c.consumer.accepts || c.accepted.Load() > int64(beyond.sent)
		if out && in {
			return true
		}
		select {
		case <-c.closed:
			return false
		case <-deadline:
			return false
		case <-time.After(time.Millisecond):
		}
	}
}

// wantOpen wants that the response works.
func (c *cell) wantOpen() {
	if c.consumer.polls {
		if !within(c.waiting, patience) {
			c.problem("the long poll does not wait")
		}
		return
	}
	if !c.advances(mark{1, 1}) {
		c.user.failed.Store(true)
		c.problem("before the event: %d of %d numbers delivered, %d of %d accepted, %s",
			c.delivered.Load(), c.produced.count(), c.accepted.Load(), c.sent.count(), c.state())
	}
}

func (c *cell) state() string {
	select {
	case <-c.closed:
		return "ended: " + c.end
	default:
		return "open"
	}
}

// wantEnd wants that the response has ended as the event says, and that no number began after
// its acknowledgement. An end that is found only at a recheck, or at a deadline, has a bound in
// place of that.
func (c *cell) wantEnd(e event, b bound) {
	cause := e.cause
	if c.consumer.polls {
		c.answerAfterEnd(cause, b)
	}
	if !within(c.closed, b.patience()) {
		c.problem("it goes on: %d numbers delivered and %d accepted since the event",
			c.delivered.Load()-int64(c.atAcknowledgement().produced), c.accepted.Load()-int64(c.atAcknowledgement().sent))
		return
	}
	cut := c.consumer.polls && c.consumer.http2 && c.end != "200" // it answered after a second grace
	unknown := e.unknown && c.end == comeBack                     // of a request: it has no other response
	if want := c.consumer.ends(cause); c.end != want && !cut && !unknown {
		c.problem("ended with %q, want %q", c.end, want)
	}
	at := c.atAcknowledgement()
	c.wantNothingAfter("delivered", &c.produced, int(c.delivered.Load()), at.produced, b.of(c.consumer, cause))
	c.wantNothingAfter("accepted", &c.sent, int(c.accepted.Load()), at.sent, b)
}

// answerAfterEnd lets the handler of a long poll answer: at once after an acknowledgement, and
// after the grace if the cause leaves one.
func (c *cell) answerAfterEnd(cause *live.Cause, b bound) {
	defer close(c.answers)
	if b.immediate {
		return
	}
	if !within(c.left, b.patience()) {
		c.problem("the context of the long poll does not end")
	}
	if late := time.Since(b.until); late > 0 {
		c.problem("the context of the long poll ended %v after the bound", late)
	}
	if c.consumer.grace != nil && c.consumer.grace(cause) {
		<-time.After(grace * 3 / 2)
	}
}

func (c *cell) wantNothingAfter(done string, side *numbers, last, mark int, b bound) {
	switch {
	case last == 0:
	case b.immediate && last > mark:
		c.problem("%d numbers were %s that were sent after the acknowledgement; the last began %v after it",
			last-mark, done, side.sentAt(last).Sub(b.from))
	case !b.immediate && side.sentAt(last).After(b.until):
		c.problem("a number was %s that was sent %v after the end, %v after the bound",
			done, side.sentAt(last).Sub(b.from), side.sentAt(last).Sub(b.until))
	}
}

// wantOpenAfter wants that the response is not affected by the event.
func (c *cell) wantOpenAfter(b bound) {
	if !b.immediate {
		select {
		case <-c.closed:
		case <-time.After(time.Until(b.until)):
		}
	}
	if c.consumer.polls {
		close(c.answers)
		if !within(c.closed, b.patience()) || c.end != "200" {
			c.problem("the long poll: %s, want 200", c.state())
		}
		return
	}
	if at := c.atAcknowledgement(); !c.advances(at) {
		c.problem("after the event: %d of %d numbers delivered, %d of %d accepted, %s; want that it goes on",
			c.delivered.Load()-int64(at.produced), c.produced.count()-at.produced,
			c.accepted.Load()-int64(at.sent), c.sent.count()-at.sent, c.state())
	}
}

// answer is the status of a new request: one of several, divided by commas.
type answer string

const (
	refused          answer = "401,403"
	refusedOrUnknown answer = refused + "," + comeBack
	admitted         answer = "200,101"
)

// wantRequest wants the answer to a new request with the same credential.
func (c *cell) wantRequest(want answer) {
	status, err := c.consumer.again(c)
	if err != nil || !slices.Contains(strings.Split(string(want), ","), status) {
		c.problem("a new request: status %s, %v, want one of %s", status, err, want)
	}
}
