package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// Revocations tests an implementation of [middleware.Revocations]. The open function returns
// a handle; every handle has the same data, see the package. Followers are tested within one
// handle: one of another process learns of a revocation when it asks.
func Revocations(t *testing.T, open func(testing.TB) middleware.Revocations) {
	t.Helper()
	runAll(t, "Revocations", open, revocationChecks, cutoffChecks, followChecks)
}

var revocationChecks = []check[middleware.Revocations]{
	{contract: "a revocation reaches what it names, and nothing else", run: reaches},
	{contract: "all that one revocation names is revoked", run: namesSeveral},
	{contract: "an empty revocation is refused, and no follower is told", run: emptyRefused},
	{contract: "when Revoke returns, every handle answers that it is revoked", run: revokedAtOnce},
	{contract: "revocations outlive the handle that wrote them", run: revocationsOutlive},
	{
		contract: "a revocation is kept until Expires, and a later one with an earlier Expires does not shorten it",
		run:      keptUntilExpires, waits: true,
	},
	{contract: "calls may be concurrent, and no revocation is lost", run: revokeConcurrently},
	{contract: "with an ended context Revoke and Revoked fail, or tell the truth", run: revocationsEndedContexts},
}

// revocationsHandle is the handle of Revocations.
type revocationsHandle struct {
	t testing.TB
	r middleware.Revocations
}

func revocationsHandleOf(t testing.TB, open func(testing.TB) middleware.Revocations) *revocationsHandle {
	t.Helper()
	return &revocationsHandle{t, opened(t, open)}
}

// revoke may be called in any goroutine.
func (l *revocationsHandle) revoke(v middleware.Revocation) {
	l.t.Helper()
	_, err := ask(l.t, fmt.Sprintf("Revoke(%+v)", v), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, l.r.Revoke(ctx, v)
	})
	if err != nil {
		l.t.Errorf("Revoke(%+v): %v", v, err)
	}
}

// answers may be called in any goroutine.
func (l *revocationsHandle) answers(when string, p middleware.Principal, want bool) {
	l.t.Helper()
	got, err := ask(l.t, when+": Revoked", func(ctx context.Context) (bool, error) { return l.r.Revoked(ctx, p) })
	if err != nil || got != want {
		l.t.Errorf("%s: Revoked returns %v and the error %v, want %v, for %s", when, got, err, want, named(p))
	}
}

// named is a principal in a message.
func named(p middleware.Principal) string {
	return fmt.Sprintf("issuer %q, subject %q, session %q, token %q, issued %v",
		p.Issuer, p.Subject, p.SessionHandle, p.TokenHandle, p.IssuedAt.Round(0))
}

// someone returns a principal that no other check has, issued a minute ago.
func someone() middleware.Principal {
	return middleware.Principal{
		Issuer: "https://id.example", Subject: "user-" + newKey(), SessionHandle: newKey(), TokenHandle: newKey(),
		IssuedAt: time.Now().Add(-time.Minute).UTC(), Expires: inAnHour(),
	}
}

func with(p middleware.Principal, edit func(*middleware.Principal)) middleware.Principal {
	edit(&p)
	return p
}

func emptyRefused(t testing.TB, open func(testing.TB) middleware.Revocations) {
	l := revocationsHandleOf(t, open)
	before := time.Now().Add(-time.Minute)
	told := make(chan middleware.Revocation, 100)
	defer l.r.Follow(func(v middleware.Revocation) {
		if v.Issuer == "https://empty.example" {
			told <- v
		}
	})()
	for _, v := range []middleware.Revocation{
		{},
		{Issuer: "https://empty.example"},
		{Issuer: "https://empty.example", Before: before, Expires: inAnHour()},
	} {
		ctx, cancel := limited()
		if err := l.r.Revoke(ctx, v); err == nil {
			t.Errorf("Revoke(%+v) returns nil: it names nothing, and the caller believes that something has ended", v)
		}
		cancel()
	}
	if len(told) > 0 {
		t.Errorf("a follower was told of %+v", <-told)
	}
	l.answers("after empty revocations", someone(), false)
}

// revokedAtOnce asks before, so that an answer which is remembered is found.
func revokedAtOnce(t testing.TB, open func(testing.TB) middleware.Revocations) {
	asked, told := revocationsHandleOf(t, open), revocationsHandleOf(t, open)
	for i := range 20 {
		p := someone()
		asked.answers("before", p, false)
		v := middleware.Revocation{SessionHandle: p.SessionHandle}
		switch i % 3 {
		case 1:
			v = middleware.Revocation{TokenHandle: p.TokenHandle}
		case 2:
			v = middleware.Revocation{Issuer: p.Issuer, Subject: p.Subject}
		}
		told.revoke(v)
		asked.answers("after Revoke by another handle (is the answer from a cache or a replica, or does open return other data each time?)",
			p, true)
		told.answers("after its own Revoke", p, true)
		if t.Failed() {
			return
		}
	}
}

func revocationsOutlive(t testing.TB, open func(testing.TB) middleware.Revocations) {
	first := &process{TB: t}
	defer first.end()
	p, q, s := someone(), someone(), someone()
	l := revocationsHandleOf(first, open)
	l.revoke(middleware.Revocation{SessionHandle: p.SessionHandle})
	l.revoke(middleware.Revocation{TokenHandle: q.TokenHandle})
	l.revoke(middleware.Revocation{Subject: s.Subject})
	first.end()
	l = revocationsHandleOf(t, open)
	for _, p := range []middleware.Principal{p, q, s} {
		l.answers("after the handle that revoked it was closed", p, true)
	}
}

// keptUntilExpires ends with the only wait: for the shorter expiry to pass.
func keptUntilExpires(t testing.TB, open func(testing.TB) middleware.Revocations) {
	l := revocationsHandleOf(t, open)
	for _, ahead := range []time.Duration{2 * time.Minute, 24 * time.Hour, 30 * 24 * time.Hour, 366 * 24 * time.Hour} {
		p := someone()
		l.revoke(middleware.Revocation{SessionHandle: p.SessionHandle, TokenHandle: p.TokenHandle, Expires: time.Now().Add(ahead)})
		l.answers(fmt.Sprintf("%v before Expires", ahead), p, true)
	}
	bySession, byToken, bySubject := someone(), someone(), someone()
	soon := time.Now().Add(time.Second)
	for _, expires := range []time.Time{inAnHour(), soon} {
		l.revoke(middleware.Revocation{SessionHandle: bySession.SessionHandle, Expires: expires})
		l.revoke(middleware.Revocation{TokenHandle: byToken.TokenHandle, Expires: expires})
		l.revoke(middleware.Revocation{Subject: bySubject.Subject, Expires: expires})
	}
	<-time.After(time.Until(soon) + time.Second)
	for what, p := range map[string]middleware.Principal{"the session": bySession, "the token": byToken, "the subject": bySubject} {
		l.answers(what+", revoked for an hour and then again for a second, after two", p, true)
	}
}

func revokeConcurrently(t testing.TB, open func(testing.TB) middleware.Revocations) {
	handles := []*revocationsHandle{revocationsHandleOf(t, open), revocationsHandleOf(t, open)}
	const revokers, each = 16, 10
	var people [revokers * each]middleware.Principal
	together(revokers, func(g int) {
		l, other := handles[g%2], handles[(g+1)%2]
		for i := range each {
			p := someone()
			people[g*each+i] = p
			l.answers("before, beside others", p, false)
			switch i % 3 {
			case 0:
				l.revoke(middleware.Revocation{SessionHandle: p.SessionHandle})
			case 1:
				l.revoke(middleware.Revocation{TokenHandle: p.TokenHandle})
			default:
				l.revoke(middleware.Revocation{Issuer: p.Issuer, Subject: p.Subject})
			}
			other.answers("after Revoke, beside others", p, true)
		}
	})
	for _, p := range people {
		handles[0].answers("after all", p, true)
	}
}

func revocationsEndedContexts(t testing.TB, open func(testing.TB) middleware.Revocations) {
	l := revocationsHandleOf(t, open)
	for what, ctx := range ended() {
		p, q := someone(), someone()
		l.revoke(middleware.Revocation{SessionHandle: p.SessionHandle})
		returns(t, "Revoked with "+what, func() {
			if revoked, err := l.r.Revoked(ctx, p); err == nil && !revoked {
				t.Errorf("Revoked with %s returns false without an error, for what is revoked", what)
			}
		})
		returns(t, "Revoke with "+what, func() { l.revokeEnded(ctx, what, q) })
	}
}

func (l *revocationsHandle) revokeEnded(ctx context.Context, what string, p middleware.Principal) {
	l.t.Helper()
	if err := l.r.Revoke(ctx, middleware.Revocation{SessionHandle: p.SessionHandle}); err == nil {
		l.answers("after Revoke with "+what+" has returned nil", p, true)
	}
}
