package live

import (
	"context"
	"sync"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

const (
	// maxAsking is how many questions to one Auth are under way at once. It leaves room
	// for those of requests.
	maxAsking = 64

	// askTimeout bounds one question. No request waits for it, so it is longer than what
	// an Auth allows itself in one.
	askTimeout = 5 * time.Second

	// retryRecheck is when a question without an answer is asked again, less up to half.
	retryRecheck = 10 * time.Second
)

// questions are the bindings of one Auth that wait to be asked about, on goroutines that
// are there only while there is work.
type questions struct {
	task func(*Binding)

	mu      sync.Mutex
	waiting []*Binding
	workers int
}

func (q *questions) add(b *Binding) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, b)
	if q.workers < maxAsking {
		q.workers++
		go q.work()
	}
}

func (q *questions) work() {
	for {
		b := q.take()
		if b == nil {
			return
		}
		q.task(b)
	}
}

func (q *questions) take() *Binding {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.workers--
		q.waiting = nil
		return nil
	}
	b := q.waiting[0]
	q.waiting = q.waiting[1:]
	return b
}

// wake is the wheel's call: it acts on what is due and returns when to be called again.
func (b *Binding) wake(now int64) int64 {
	due := int64(0)
	if b.endedAt.Load() == 0 {
		due = b.check(now)
	}
	if ended := b.endedAt.Load(); ended != 0 {
		due = sooner(due, b.reportStuck(now, ended))
	}
	if b.member == nil {
		return due
	}
	return sooner(due, b.member.Next(now, b.registry.hurry.Load()))
}

// check ends the member if a deadline of its credential has passed, and has the Auth asked
// if it is time.
func (b *Binding) check(now int64) int64 {
	t := b.times()
	due, cause := next(now, t)
	if cause != nil {
		b.end(cause)
		return 0
	}
	if t.recheck != 0 && now >= t.recheck && b.recheckAt.CompareAndSwap(t.recheck, 0) {
		b.queue(now)
	}
	return due
}

func (b *Binding) times() times {
	g := b.registry
	t := times{drain: g.drainAt(b)}
	if b.stage.Load() != bound {
		return t
	}
	t.maxAge = b.opened + int64(float64(g.cfg.Timeouts.MaxAge)*(1-b.Jitter()/10))
	if p := b.principal.Load(); !p.Expires.IsZero() {
		t.expires = max(1, int64(p.Expires.Sub(g.start)))
	}
	if f := b.follow.Load(); f.auth.CanRevoke() {
		t.recheck = b.recheckAt.Load()
		t.stale = b.lastGood.Load() + f.waited(b.waitsAt.Load()) + int64(g.cfg.Timeouts.Stale)
	}
	return t
}

// waited is how much of a wait to be asked, since then, does not count as time without an
// answer: until the last answer that the Auth gave to another question. An Auth that does
// not answer any more is not merely busy.
func (f *follow) waited(since int64) int64 {
	if since == 0 {
		return 0
	}
	return max(0, f.answered.Load()-since)
}

// queue has the Auth asked about b.
func (b *Binding) queue(now int64) {
	b.waitsAt.Store(now)
	b.follow.Load().questions.add(b)
}

// askNow has the Auth asked as soon as possible, because an end of the subject was
// reported. If there is no answer then, the member ends.
func (b *Binding) askNow() {
	b.urgent.Add(1)
	b.recheckAt.Store(0)
	b.queue(b.registry.Now())
}

// ask is the task of questions. The answer holds for all members of the same credential.
func (f *follow) ask(b *Binding) {
	g := f.registry
	if !b.beginAsking(f) {
		return
	}
	p := b.principal.Load()
	group := f.group(b, p)
	ctx, cancel := bounded.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	cause, err := causeOf(f.auth.Alive(ctx, *p))
	if err != nil {
		g.warn(err)
	} else {
		f.answered.Store(g.Now())
	}
	for _, x := range group {
		x.answer(x.reports, cause, err)
	}
}

// asked is a binding for which a question stands, and how many reports that its subject
// ended there were before.
type asked struct {
	*Binding
	reports uint32
}

// group returns b and the other members of the same credential.
func (f *follow) group(b *Binding, p *middleware.Principal) []asked {
	group := []asked{{b, b.urgent.Load()}}
	if p.SessionHandle == "" {
		return group
	}
	for _, x := range f.registry.index.list(keyOf(bySession, p)) {
		if x != b && x.follow.Load() == f && sameCredential(x.principal.Load(), p) {
			group = append(group, asked{x, x.urgent.Load()})
		}
	}
	return group
}

// beginAsking ends the wait; false if another question has been answered meanwhile.
func (b *Binding) beginAsking(f *follow) bool {
	since := b.waitsAt.Load()
	if since == 0 || b.stage.Load() != bound {
		return false
	}
	waited := f.waited(since)
	b.lastGood.Add(waited) // first: the wheel finds one or the other
	if !b.waitsAt.CompareAndSwap(since, 0) {
		b.lastGood.Add(-waited)
		return false
	}
	return true
}

func sameCredential(p, q *middleware.Principal) bool {
	return p.SessionHandle == q.SessionHandle && p.TokenHandle == q.TokenHandle && p.Issuer == q.Issuer && p.Subject == q.Subject
}

// answer takes the answer to a question that began after that many reports.
func (b *Binding) answer(reports uint32, cause *Cause, err error) {
	now := b.registry.Now()
	pause := b.recheckPause()
	switch {
	case cause != nil:
		b.end(cause)
		return
	case b.urgent.Load() != reports:
		return // the question about the newest report is still to be asked
	case err == nil:
		b.lastGood.Store(now)
		b.settled.Store(reports)
	case b.settled.Load() != reports:
		b.end(Later.Wrap(err))
		return
	default:
		pause = min(pause, int64(float32(retryRecheck)*(1-b.jitter/2)))
	}
	b.waitsAt.Store(0)
	b.recheckAt.Store(now + pause)
	b.Hasten(now + pause)
}

// warn logs that a question has no answer, once for many members.
func (g *Registry) warn(err error) {
	now, last := g.Now(), g.warned.Load()
	if last != 0 && now-last < int64(retryRecheck) || !g.warned.CompareAndSwap(last, now) {
		return
	}
	g.cfg.Log.Warn("live: a credential could not be asked about; members go on until Timeouts.Stale", "cause", err)
}

// stuckAfter is when a member that has ended and does not leave is reported.
const stuckAfter = 10 * time.Second

// reportStuck reports once a member whose code does not return though it has ended, and
// returns when to look.
func (b *Binding) reportStuck(now, ended int64) int64 {
	at := ended + int64(stuckAfter)
	switch {
	case b.stage.Load() != bound:
		return 0
	case now < at:
		return at
	}
	if b.warned.CompareAndSwap(false, true) {
		b.registry.cfg.Log.Error("live: a member has not returned 10 s after its end; what it holds cannot be taken back", "id", b.ID(), "principal", *b.principal.Load())
		b.registry.emit(Event{Kind: Stuck, ID: b.ID(), Principal: *b.principal.Load(), Lasted: time.Duration(now - b.opened)})
	}
	return 0
}
