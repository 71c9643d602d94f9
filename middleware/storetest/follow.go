package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

var followChecks = []check[middleware.Revocations]{
	{contract: "every follower is told of every later revocation, as it was given", run: followersTold},
	{contract: "a follower is told after Revoked answers yes, and may ask it", run: followersMayAsk},
	{contract: "stop ends the calls of one follower alone", run: stopEnds},
	{contract: "no follower misses one of many concurrent revocations", run: noneMissed},
}

// follower keeps the revocations that it is told.
type follower struct {
	mu   sync.Mutex
	told []middleware.Revocation
}

func (f *follower) tell(v middleware.Revocation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, v)
}

// count returns how often the follower was told of v.
func (f *follower) count(v middleware.Revocation) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.told {
		if x.Issuer == v.Issuer && x.Subject == v.Subject && x.SessionHandle == v.SessionHandle && x.TokenHandle == v.TokenHandle {
			n++
		}
	}
	return n
}

func followersTold(t testing.TB, open func(testing.TB) middleware.Revocations) {
	l := revocationsHandleOf(t, open)
	early := someone()
	l.revoke(middleware.Revocation{Subject: early.Subject})
	var a, b follower
	defer l.r.Follow(a.tell)()
	defer l.r.Follow(b.tell)()
	p, q := someone(), someone()
	before, expires := time.Now().Add(-time.Minute).Round(time.Second), time.Now().Add(2*time.Hour).Round(time.Second)
	revocations := []middleware.Revocation{
		{SessionHandle: p.SessionHandle, Expires: expires, Before: before},
		{TokenHandle: p.TokenHandle, Expires: expires, Before: before},
		{Issuer: p.Issuer, Subject: p.Subject, Expires: expires, Before: before},
		{Subject: q.Subject, Expires: expires, Before: before},
		{
			Issuer: q.Issuer, Subject: q.Subject, SessionHandle: q.SessionHandle,
			TokenHandle: q.TokenHandle, Expires: expires, Before: before,
		},
	}
	for _, v := range revocations {
		l.revoke(v)
	}
	for _, f := range []*follower{&a, &b} {
		for _, v := range revocations {
			eventually(t, "each follower is told of each revocation", func() bool { return f.count(v) > 0 })
		}
		f.mu.Lock()
		for _, v := range f.told {
			if (v.Subject == p.Subject || v.Subject == q.Subject) && v.Subject != "" &&
				(!v.Before.Equal(before) || !v.Expires.Equal(expires)) {
				t.Errorf("a follower was told Before %v and Expires %v, want %v and %v", v.Before, v.Expires, before, expires)
			}
		}
		f.mu.Unlock()
		if f.count(middleware.Revocation{Subject: early.Subject}) > 0 {
			t.Error("a follower was told of a revocation that was made before it followed")
		}
	}
}

func followersMayAsk(t testing.TB, open func(testing.TB) middleware.Revocations) {
	l := revocationsHandleOf(t, open)
	p := someone()
	asked := make(chan bool, 10)
	defer l.r.Follow(func(v middleware.Revocation) {
		if v.Subject == p.Subject || v.SessionHandle == p.SessionHandle {
			ctx, cancel := limited()
			defer cancel()
			revoked, err := l.r.Revoked(ctx, p)
			asked <- revoked && err == nil
		}
	})()
	returns(t, "Revoke, with a follower that asks Revoked", func() { l.revoke(middleware.Revocation{SessionHandle: p.SessionHandle}) })
	select {
	case yes := <-asked:
		if !yes {
			t.Error("Revoked does not answer yes to a follower that was told: what it tells would be forgotten")
		}
	case <-time.After(patience):
		t.Errorf("no answer to a follower within %v: is a lock held that Revoked needs?", patience)
	}
}

func stopEnds(t testing.TB, open func(testing.TB) middleware.Revocations) {
	l := revocationsHandleOf(t, open)
	var stopped, other follower
	stop := l.r.Follow(stopped.tell)
	defer l.r.Follow(other.tell)()
	p, q := someone(), someone()
	first, second := middleware.Revocation{SessionHandle: p.SessionHandle}, middleware.Revocation{SessionHandle: q.SessionHandle}
	l.revoke(first)
	for _, f := range []*follower{&stopped, &other} {
		eventually(t, "each follower is told", func() bool { return f.count(first) > 0 })
	}
	stop()
	l.revoke(second)
	eventually(t, "a follower is told after another has stopped", func() bool { return other.count(second) > 0 })
	if stopped.count(second) > 0 {
		t.Error("a follower was told of a revocation that was made after it had stopped")
	}
}

func noneMissed(t testing.TB, open func(testing.TB) middleware.Revocations) {
	const revokers, each = 8, 25
	l := revocationsHandleOf(t, open)
	followers := make([]follower, 3)
	for i := range followers {
		defer l.r.Follow(followers[i].tell)()
	}
	l.r.Follow(func(middleware.Revocation) {})()
	subjects := make([]string, revokers*each)
	for i := range subjects {
		subjects[i] = someone().Subject
	}
	together(revokers+1, func(g int) {
		if g == revokers { // others come and go meanwhile
			for range each {
				l.r.Follow(func(middleware.Revocation) {})()
			}
			return
		}
		for i := range each {
			l.revoke(middleware.Revocation{Subject: subjects[g*each+i]})
		}
	})
	for i := range followers {
		for _, subject := range subjects {
			eventually(t, "a follower is told of each of many concurrent revocations", func() bool {
				return followers[i].count(middleware.Revocation{Subject: subject}) > 0
			})
		}
	}
}
