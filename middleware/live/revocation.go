package live

import (
	"time"

	"github.com/securews/securews/middleware"
)

// reportTimeout is how long a revocation of a subject waits for the answers about its members.
const reportTimeout = time.Second

// revoked is called with every revocation. Members with its handles end before it returns.
// The members of a subject are asked about, since only the Auth knows which of its
// credentials are meant; revoked waits for the answers about them, so that a sign-out which has
// returned has ended the members that it reaches. Without an answer a member ends later, when the question is
// given up.
func (f *follow) revoked(v middleware.Revocation) {
	g := f.registry
	f.revocations.add(g.Now, v)
	if v.Resync {
		f.askAll()
	}
	for _, b := range g.index.list(key{bySession, "", v.SessionHandle}) {
		b.end(Revoked)
	}
	for _, b := range g.index.list(key{byToken, "", v.TokenHandle}) {
		b.end(Revoked)
	}
	if v.Subject == "" {
		return
	}
	var reports []report
	for _, b := range g.index.subject(v.Issuer, v.Subject) {
		if b.follow.Load() == f {
			reports = append(reports, b.reported())
		}
	}
	for _, r := range reports { // after all are noted, so that one question covers those of one credential
		r.ask()
	}
	f.queue.awaitAnswers(reports, g.follows.wait)
}

// askAll has every member of the Auth asked about, because revocations may have been missed. One
// without an answer goes on, until Timeouts.Stale.
func (f *follow) askAll() {
	for b := range f.registry.index.all() {
		if b.follow.Load() == f {
			b.askAgain()
		}
	}
}
