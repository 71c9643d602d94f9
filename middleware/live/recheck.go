package live

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

const (
	// askTimeout bounds one question. No request waits for it, so it is longer than what an
	// Auth has for a request.
	askTimeout = 5 * time.Second

	// retryRecheck is when a question without an answer is asked again, less up to half.
	retryRecheck = 10 * time.Second
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
}

// lastGood is good with the present wait. Time spent waiting does not count as time without
// an answer as long as the Auth answers others.
func (q *question) lastGood(answered int64) int64 {
	if q.waits == 0 {
		return q.good
	}
	return q.good + max(0, answered-q.waits)
}

// renew takes the voucher of a credential for a good answer.
func (q *question) renew(b *Binding) {
	now := b.registry.Now()
	q.good, q.waits, q.due, q.cleared, q.answered, q.queued = now, 0, now+b.recheckPause(), q.reports, q.reports, [2]bool{}
}

func (b *Binding) recheckPause() int64 {
	return int64(float32(b.registry.cfg.Timeouts.Recheck) * (1 - b.jitter/5))
}

// wake is called by the wheel: it acts on the deadlines that are due, and returns when it is
// to be called again.
func (b *Binding) wake(now int64) int64 {
	due := int64(0)
	if b.ending.at.Load() == 0 {
		var cause *Cause
		if due, cause = b.recheck(now); cause != nil {
			b.end(cause)
		}
	}
	if ended := b.ending.at.Load(); ended != 0 {
		due = sooner(due, b.reportStuck(now, ended))
	}
	if due = sooner(due, b.nextOf(now)); due == 0 {
		due = now + int64(slots*tick) // Hasten and a shutdown may come
	}
	return due
}

// recheck returns when the first deadline of the credential is due, or the cause if it has
// passed, and has the Auth asked if it is time.
func (b *Binding) recheck(now int64) (due int64, cause *Cause) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.times()
	due, cause = next(now, t)
	if cause == nil && past(t.recheck, now) {
		b.ask(now, routine)
	}
	return due, cause
}

// times returns the zero value for a readable refusal, which has no principal.
func (b *Binding) times() times {
	if b.stage.Load() != bound {
		return times{}
	}
	g := b.registry
	t := times{
		expires: sooner(b.expires, g.until(b.principal.Load().Expires)),
		drain:   g.drainAt(b),
		maxAge:  b.opened.Load() + int64(float64(g.cfg.Timeouts.MaxAge)*(1-b.Jitter()/10)),
	}
	if f := b.follow.Load(); f.auth.CanRevoke() {
		t.recheck = b.question.due
		t.stale = b.question.lastGood(f.answered.Load()) + int64(g.cfg.Timeouts.Stale)
	}
	return t
}

// ask has the Auth asked about b, when there is a worker for it. Binding.mu is held.
func (b *Binding) ask(now int64, urgency int) {
	q := &b.question
	q.due = 0
	if q.waits == 0 {
		q.waits = now
	}
	if !q.queued[urgency] {
		q.queued[urgency] = true
		b.follow.Load().queue.add(b, urgency)
	}
}

// reported has the Auth asked as soon as possible, because an end of the subject was
// reported. Without an answer the member ends.
func (b *Binding) reported() report {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.question.reports++
	b.ask(b.registry.Now(), urgent)
	return report{b, b.question.reports}
}

// askAgain has the Auth asked anew, also if a question is under way, whose answer may be of before.
func (b *Binding) askAgain() {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := &b.question
	if q.cleared == q.reports {
		q.cleared++ // nothing was reported about this member, so no answer is not an end
	}
	q.reports++
	b.ask(b.registry.Now(), routine)
}

// answered reports whether an answer has followed, or none is needed any more.
func (r report) answered() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stage.Load() != bound || int32(r.question.answered-r.number) >= 0
}

// asked is a binding that a question is about, its principal then, and how many reports that
// its subject ended came before the question.
type asked struct {
	*Binding
	about   *middleware.Principal
	reports uint32
}

// ask is the task of the queue. The answer holds for all members of the same credential.
func (f *follow) ask(b *Binding) {
	group := f.group(b)
	if len(group) == 0 {
		return
	}
	ctx, cancel := bounded.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	cause, err := causeOf(f.auth.Alive(ctx, *group[0].about))
	if err != nil {
		f.registry.warn(err)
	} else {
		f.answered.Store(f.registry.Now())
	}
	for _, x := range group {
		if cause := x.takeAnswer(cause, err); cause != nil {
			x.end(cause)
		}
		x.markAnswered()
		f.queue.wake(x.Binding)
	}
}

// markAnswered notes that an answer to these reports has been acted on.
func (a asked) markAnswered() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if q := &a.question; int32(a.reports-q.answered) > 0 { // a later question may have been faster
		q.answered = a.reports
	}
}

// taken begins the question about b, which was taken out of the queue; false if b does not
// wait there any more, since a question about another member covered it.
func (b *Binding) taken(f *follow) (asked, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.follow.Load() != f {
		return asked{}, false
	}
	b.question.queued = [2]bool{}
	if b.question.waits == 0 || b.stage.Load() != bound {
		return asked{}, false
	}
	return b.beingAsked(f), true
}

// group begins one question about b and the other members of the same session and token;
// none if b does not wait any more.
func (f *follow) group(b *Binding) []asked {
	f.grouping.Lock() // two members of one group are taken at the same time
	defer f.grouping.Unlock()
	first, ok := b.taken(f)
	if !ok {
		return nil
	}
	group := []asked{first}
	for _, x := range f.registry.index.list(keyOf(bySession, first.about)) {
		if x == b {
			continue
		}
		if a, ok := x.joins(f, first.about); ok {
			group = append(group, a)
		}
	}
	return group
}

func (b *Binding) joins(f *follow, p *middleware.Principal) (asked, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.follow.Load() != f || b.stage.Load() != bound || !sameCredential(b.principal.Load(), p) {
		return asked{}, false
	}
	return b.beingAsked(f), true
}

func (b *Binding) beingAsked(f *follow) asked {
	q := &b.question
	q.good, q.waits, q.due = q.lastGood(f.answered.Load()), 0, 0
	return asked{b, b.principal.Load(), q.reports}
}

// sameCredential reports whether one answer is about both. Roles and scopes differ within a
// session whose roles have changed.
func sameCredential(p, q *middleware.Principal) bool {
	return p.SessionHandle == q.SessionHandle && p.TokenHandle == q.TokenHandle && p.Issuer == q.Issuer && p.Subject == q.Subject &&
		slices.Equal(p.Roles, q.Roles) && slices.Equal(p.Scopes, q.Scopes)
}

// takeAnswer returns the cause if the answer ends the member, or plans the next
// question.
func (a asked) takeAnswer(cause *Cause, err error) *Cause {
	a.mu.Lock()
	defer a.mu.Unlock()
	q, now, pause := &a.question, a.registry.Now(), a.recheckPause()
	switch {
	case a.principal.Load() != a.about:
		return nil // it was replaced meanwhile, and its question is planned
	case cause != nil && q.cleared != a.reports && errors.Is(cause, Expired):
		return Expired.Wrap(Revoked.Wrap(cause.Err)) // the client may fetch another credential; this one was revoked
	case cause != nil:
		return cause
	case q.reports != a.reports:
		return nil // the question about the newest report is still to be asked
	case err == nil:
		q.good, q.cleared = now, a.reports
	case q.cleared != a.reports:
		return Later.Wrap(err)
	default:
		pause = min(pause, int64(float32(retryRecheck)*(1-a.jitter/2)))
	}
	q.waits, q.due = 0, now+pause
	a.Hasten(q.due)
	return nil
}

// warn logs that a question has no answer, once for many members.
func (g *Registry) warn(err error) {
	now, last := g.Now(), g.warned.Load()
	if last != 0 && now-last < int64(retryRecheck) || !g.warned.CompareAndSwap(last, now) {
		return
	}
	g.cfg.Log.Warn("live: a credential could not be asked about; members go on until Timeouts.Stale", "cause", err)
}
