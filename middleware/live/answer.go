package live

import (
	"context"
	"errors"
	"slices"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/recheckby"
	"github.com/securews/securews/middleware"
)

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
	asking := recheckby.Collect(ctx)
	cause, err := causeOf(f.auth.Alive(asking, *group[0].about))
	by := f.registry.until(asking.Earliest())
	if err != nil {
		f.registry.warn(err)
	} else {
		f.answered.Store(f.registry.Now())
	}
	for _, x := range group {
		if cause := x.takeAnswer(cause, err, by); cause != nil {
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
	q.good, q.waits, q.due, q.covers = q.lastGood(f.answered.Load()), 0, 0, true
	return asked{b, b.principal.Load(), q.reports}
}

// sameCredential reports whether one answer is about both. Roles and scopes differ within a
// session whose roles have changed.
func sameCredential(p, q *middleware.Principal) bool {
	return p.SessionHandle == q.SessionHandle && p.TokenHandle == q.TokenHandle && p.Issuer == q.Issuer && p.Subject == q.Subject &&
		slices.Equal(p.Roles, q.Roles) && slices.Equal(p.Scopes, q.Scopes)
}

// takeAnswer returns the cause if the answer ends the member, or plans the next
// question; by is when that is due at the latest, or 0.
func (a asked) takeAnswer(cause *Cause, err error, by int64) *Cause {
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
	if by != 0 { // one that has passed is asked for less and less often
		pause = min(pause, max(by-now, now-by, int64(soonestRecheck)))
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
