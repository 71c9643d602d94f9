package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

var cutoffChecks = []check[middleware.Revocations]{
	{contract: "a subject's credentials issued before Before are revoked, and those issued a second later are not", run: cutsAtBefore},
	{contract: "a cut-off in a far year, for a subject that is disabled for good, holds", run: cutsOffUntilFarYears},
	{contract: "a zero Before is now, and followers are told so", run: zeroBefore},
	{contract: "a later revocation never lowers a cut-off", run: neverLowered},
	{contract: "of concurrent cut-offs the latest holds", run: latestHolds},
}

func issued(p middleware.Principal, at time.Time) middleware.Principal {
	p.IssuedAt = at
	return p
}

// cutsAtBefore lets a cut-off be rounded up to the second, but not down.
func cutsAtBefore(t testing.TB, open func(testing.TB) middleware.Revocations) {
	l := revocationsHandleOf(t, open)
	for name, before := range map[string]time.Time{
		"now":                                    time.Now(),
		"now, in another zone":                   time.Now().In(time.FixedZone("east", 14*3600)),
		"a day ago":                              time.Now().Add(-24 * time.Hour),
		"in a minute, by the clock of an issuer": time.Now().Add(time.Minute),
		"in the year 2100":                       time.Date(2100, 1, 2, 3, 4, 5, 678_000_000, time.UTC),
	} {
		p := someone()
		l.revoke(middleware.Revocation{Issuer: p.Issuer, Subject: p.Subject, Before: before})
		for _, sooner := range []time.Duration{time.Millisecond, time.Second, time.Minute, 24 * time.Hour} {
			l.answers(fmt.Sprintf("Before is %s; issued %v sooner", name, sooner), issued(p, before.Add(-sooner)), true)
		}
		for _, later := range []time.Duration{time.Second, time.Minute, 24 * time.Hour} {
			l.answers(fmt.Sprintf("Before is %s; issued %v later", name, later), issued(p, before.Add(later)), false)
		}
	}
}

// cutsOffUntilFarYears is about times that do not fit into an int64 of nanoseconds.
func cutsOffUntilFarYears(t testing.TB, open func(testing.TB) middleware.Revocations) {
	l := revocationsHandleOf(t, open)
	for _, year := range []int{2262, 2263, 2900, 9999} {
		p, never := someone(), time.Date(year, 12, 31, 23, 59, 59, 0, time.UTC)
		l.revoke(middleware.Revocation{Issuer: p.Issuer, Subject: p.Subject, Before: never, Expires: never})
		for _, at := range []time.Time{{}, time.Now(), time.Now().Add(50 * 365 * 24 * time.Hour)} {
			l.answers(fmt.Sprintf("Before is in the year %d; issued at %v", year, at), issued(p, at), true)
		}
		l.revoke(middleware.Revocation{TokenHandle: p.TokenHandle, Expires: never})
		l.answers(fmt.Sprintf("Expires is in the year %d", year), middleware.Principal{TokenHandle: p.TokenHandle}, true)
	}
}

func zeroBefore(t testing.TB, open func(testing.TB) middleware.Revocations) {
	l := revocationsHandleOf(t, open)
	p := someone()
	told := make(chan middleware.Revocation, 100)
	defer l.r.Follow(func(v middleware.Revocation) {
		if v.Subject == p.Subject {
			told <- v
		}
	})()
	from := time.Now()
	l.revoke(middleware.Revocation{Issuer: p.Issuer, Subject: p.Subject})
	to := time.Now()
	l.answers("issued before Revoke was called", issued(p, from.Add(-time.Millisecond)), true)
	l.answers("issued a second after Revoke returned", issued(p, to.Add(time.Second)), false)
	select {
	case v := <-told:
		if v.Before.Before(from.Add(-early)) || v.Before.After(to.Add(early)) || v.Expires.Before(to.Add(time.Hour)) {
			t.Errorf("a follower was told Before %v and Expires %v, want the time of the call, and later by middleware.RevocationRetention",
				v.Before, v.Expires)
		}
	case <-time.After(patience):
		t.Errorf("a follower was not told within %v", patience)
	}
}

func neverLowered(t testing.TB, open func(testing.TB) middleware.Revocations) {
	l, other := revocationsHandleOf(t, open), revocationsHandleOf(t, open)
	p := someone()
	high := time.Now()
	for _, before := range []time.Time{high, high.Add(-time.Hour), high.Add(-time.Minute), high.Add(-24 * time.Hour)} {
		l.revoke(middleware.Revocation{Issuer: p.Issuer, Subject: p.Subject, Before: before})
		other.revoke(middleware.Revocation{Issuer: p.Issuer, Subject: p.Subject, Before: before})
	}
	l.answers("after earlier cut-offs, issued a second before the latest", issued(p, high.Add(-time.Second)), true)
	l.answers("after earlier cut-offs, issued a second after the latest", issued(p, high.Add(time.Second)), false)

	l.revoke(middleware.Revocation{Subject: p.Subject, Before: high.Add(-time.Hour)})
	l.answers("after an earlier cut-off of every issuer", issued(p, high.Add(-time.Second)), true)
	l.revoke(middleware.Revocation{Subject: p.Subject, Before: high.Add(time.Hour)})
	l.answers("after a later cut-off of every issuer", issued(p, high.Add(time.Minute)), true)
}

// latestHolds is about one handle: between nodes on a store that does not compare, two
// cut-offs at once may leave the earlier one.
func latestHolds(t testing.TB, open func(testing.TB) middleware.Revocations) {
	l := revocationsHandleOf(t, open)
	for range 10 {
		p, start := someone(), time.Now()
		together(8, func(i int) {
			l.revoke(middleware.Revocation{Issuer: p.Issuer, Subject: p.Subject, Before: start.Add(time.Duration(i) * time.Minute)})
		})
		l.answers("issued a second before the latest of 8 concurrent cut-offs", issued(p, start.Add(7*time.Minute-time.Second)), true)
	}
}
