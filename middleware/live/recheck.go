package live

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
		b.queueQuestion(now, routine)
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

func (b *Binding) recheckPause() int64 {
	return int64(float32(b.registry.cfg.Timeouts.Recheck) * (1 - b.jitter/5))
}

// queueQuestion has the Auth asked about b, when there is a worker for it. Binding.mu is held.
func (b *Binding) queueQuestion(now int64, urgency int) {
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

// reported notes that an end of the subject was reported. The report is to be asked about.
func (b *Binding) reported() report {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.question.reports++
	b.question.covers = false
	return report{b, b.question.reports}
}

// ask has the Auth asked as soon as possible, unless a question about another member has covered
// this one. Without an answer the member ends.
func (r report) ask() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.question.covers {
		r.queueQuestion(r.registry.Now(), urgent)
	}
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
	b.queueQuestion(b.registry.Now(), routine)
}

// resumeTimeout is the time for two questions after a suspension: the network may be late.
const resumeTimeout = 2*askTimeout + retryRecheck

// slept makes the member that much older. It is asked about at once. Its last good answer counts
// for at least resumeTimeout more, even if it is too old by now.
func (b *Binding) slept(now, gap int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened.Add(-gap)
	q := &b.question
	if q.due != 0 {
		q.due = now
	}
	q.good = min(q.good, max(q.good-gap, now-int64(b.registry.cfg.Timeouts.Stale)+int64(resumeTimeout)))
}
