package storetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

var announcerChecks = []check[scs.Store]{
	{contract: "an announcement reaches the followers of every handle", run: announceReaches},
	{contract: "every field of an announcement arrives as it was given", run: announceFields},
	{contract: "an announcement reaches no follower that has stopped, and every other one", run: announceStops},
	{contract: "a function that follows announcements may call the store", run: announceMayCall},
	{contract: "no announcement of many at once is lost", run: announceMany},
	{contract: "a function that does not return keeps no other from an announcement", run: announceBlocks},
	{contract: "a function that panics keeps no other from an announcement", run: announcePanics},
	{contract: "Announce with an ended context fails, or tells the truth", run: announceEndedContexts},
}

// announcer calls a store as an Announcer.
type announcer struct {
	*storeHandle
	session.Announcer
}

// announcers returns two handles, or skips.
func announcers(t testing.TB, open func(testing.TB) scs.Store) (a, b announcer) {
	t.Helper()
	for _, x := range []*announcer{&a, &b} {
		x.storeHandle = storeHandleOf(t, open)
		var ok bool
		if x.Announcer, ok = x.s.(session.Announcer); !ok {
			t.Skip("the store is not a session.Announcer")
		}
	}
	return a, b
}

// announce may be called in any goroutine.
func (x announcer) announce(v middleware.Revocation) {
	x.t.Helper()
	_, err := ask(x.t, "Announce", func(ctx context.Context) (struct{}, error) { return struct{}{}, x.Announce(ctx, v) })
	if err != nil {
		x.t.Errorf("Announce: %v", err)
	}
}

// follow returns once announcements reach fn: a store that connects for that may call it with a
// Resync in place of the first.
func (x announcer) follow(fn func(middleware.Revocation)) (stop func()) {
	x.t.Helper()
	heard := make(chan struct{})
	var once sync.Once
	first := newKey()
	returns(x.t, "Follow", func() {
		stop = x.Follow(func(v middleware.Revocation) {
			if v.SessionHandle == first {
				once.Do(func() { close(heard) })
				return
			}
			fn(v)
		})
	})
	if stop == nil {
		x.t.Fatal("Follow returns nil, not a function that stops it")
	}
	eventually(x.t, "a function is called with one of many announcements", func() bool {
		x.announce(middleware.Revocation{SessionHandle: first})
		select {
		case <-heard:
			return true
		case <-time.After(10 * time.Millisecond):
			return false
		}
	})
	return stop
}

func announceReaches(t testing.TB, open func(testing.TB) scs.Store) {
	a, b := announcers(t, open)
	var told [4]follower
	for i := range told {
		defer []announcer{a, b}[i%2].follow(told[i].tell)()
	}
	for name, x := range map[string]announcer{"first": a, "second": b} {
		v := middleware.Revocation{SessionHandle: newKey()}
		x.announce(v)
		for i := range told {
			eventually(t, fmt.Sprintf("an announcement of the %s handle reaches follower %d, which is of handle %d", name, i/2+1, i%2+1),
				func() bool { return told[i].count(v) > 0 })
		}
	}
}

// farthest is the last time that Unix nanoseconds hold. A later one may arrive as this one.
var farthest = time.Unix(0, 1<<63-1)

func announceFields(t testing.TB, open func(testing.TB) scs.Store) {
	a, b := announcers(t, open)
	var told follower
	defer b.follow(told.tell)()
	now := time.Now().Round(0)
	for name, v := range map[string]middleware.Revocation{
		"a session":                 {SessionHandle: newKey()},
		"a token":                   {TokenHandle: newKey()},
		"both":                      {SessionHandle: newKey(), TokenHandle: newKey()},
		"a subject of every issuer": {Subject: newKey()},
		"a subject of one issuer": {
			Issuer:  "https://issuer.example/?a=b&c=d",
			Subject: newKey(), Before: now, Expires: now.Add(time.Hour),
		},
		"all at once": {
			Issuer:  "issuer",
			Subject: newKey(), SessionHandle: newKey(), TokenHandle: newKey(), Before: now, Expires: now.Add(time.Hour),
		},
		"a subject that is not UTF-8":            {Issuer: "\xff\xfe", Subject: newKey() + "\xc3\x28\x00\xed\xa0\x80"},
		"a subject with line ends and quotes":    {Subject: newKey() + " \r\n\t'\"\\; "},
		"an issuer and a subject of 1,024 bytes": {Issuer: strings.Repeat("i", 1024), Subject: newKey() + strings.Repeat("s", 1024-43)},
		"a time to the nanosecond": {
			SessionHandle: newKey(),
			Before:        time.Date(2026, 2, 3, 4, 5, 6, 123_456_789, time.UTC),
		},
		"a time in another zone": {
			SessionHandle: newKey(),
			Before:        time.Date(2026, 2, 3, 4, 5, 6, 0, time.FixedZone("", 5*60*60)),
		},
		"a time before 1970":                       {SessionHandle: newKey(), Before: time.Unix(-5, 3)},
		"an end in 200 years":                      {SessionHandle: newKey(), Expires: time.Date(2226, 1, 1, 0, 0, 0, 0, time.UTC)},
		"an end that Unix nanoseconds do not hold": {SessionHandle: newKey(), Expires: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)},
		"a session, with Resync":                   {SessionHandle: newKey(), Resync: true},
	} {
		a.announce(v)
		var got []middleware.Revocation
		eventually(t, "an announcement arrives: "+name, func() bool {
			got = told.of(v)
			return len(got) > 0
		})
		if g := got[0]; !sameTime(g.Before, v.Before) || !sameTime(g.Expires, v.Expires) || g.Resync != v.Resync {
			t.Errorf("%s: Before %v, Expires %v and Resync %v arrive, want %v, %v and %v",
				name, g.Before, g.Expires, g.Resync, v.Before, v.Expires, v.Resync)
		}
	}
}

func sameTime(got, want time.Time) bool {
	return got.Equal(want) && got.IsZero() == want.IsZero() || want.After(farthest) && !got.Before(farthest)
}

// of returns the announcements that name the same as v.
func (f *follower) of(v middleware.Revocation) []middleware.Revocation {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.told), func(x middleware.Revocation) bool {
		return cmp.Or(cmp.Compare(x.Issuer, v.Issuer), cmp.Compare(x.Subject, v.Subject),
			cmp.Compare(x.SessionHandle, v.SessionHandle), cmp.Compare(x.TokenHandle, v.TokenHandle)) != 0
	})
}

func announceStops(t testing.TB, open func(testing.TB) scs.Store) {
	a, b := announcers(t, open)
	var stopped, other, there follower
	stop := a.follow(stopped.tell)
	defer a.follow(other.tell)()
	defer b.follow(there.tell)()
	returns(t, "the function that Follow has returned", stop)
	v := middleware.Revocation{SessionHandle: newKey()}
	b.announce(v)
	for _, f := range []*follower{&other, &there} {
		eventually(t, "an announcement reaches a follower after another one has stopped", func() bool { return f.count(v) > 0 })
	}
	stop() // a second time
	w := middleware.Revocation{SessionHandle: newKey()}
	a.announce(w)
	eventually(t, "an announcement reaches a follower after another one has stopped twice", func() bool { return other.count(w) > 0 })
	if stopped.count(v)+stopped.count(w) > 0 {
		t.Error("a function was called with an announcement made after it was stopped")
	}
}

func announceMayCall(t testing.TB, open func(testing.TB) scs.Store) {
	a, b := announcers(t, open)
	key := newKey()
	a.commit(key, []byte("there"), inAnHour())
	answers := make(chan string, 10)
	v := middleware.Revocation{SessionHandle: newKey()}
	defer b.follow(func(x middleware.Revocation) {
		if x.SessionHandle != v.SessionHandle {
			return
		}
		found := make(chan string, 1)
		go func() {
			ctx, cancel := limited()
			defer cancel()
			value, _, err := b.tryFind(ctx, key)
			found <- fmt.Sprintf("%q, %v", value, err)
		}()
		select {
		case x := <-found:
			answers <- x
		case <-time.After(patience / 2):
			answers <- "no answer: is a lock held that Find needs?"
		}
	})()
	b.announce(v)
	select {
	case got := <-answers:
		if got != `"there", <nil>` {
			t.Errorf("Find, called in a function that follows: %s", got)
		}
	case <-time.After(patience):
		t.Error("an announcement does not arrive")
	}
}

func announceMany(t testing.TB, open func(testing.TB) scs.Store) {
	const goroutines, each = 8, 25
	a, b := announcers(t, open)
	var told [2]follower
	defer a.follow(told[0].tell)()
	defer b.follow(told[1].tell)()
	all := make([]middleware.Revocation, goroutines*each)
	for i := range all {
		all[i] = middleware.Revocation{Subject: newKey()}
	}
	together(goroutines, func(g int) {
		for i := range each {
			[]announcer{a, b}[g%2].announce(all[g*each+i])
		}
	})
	for i := range told {
		for n, v := range all {
			eventually(t, fmt.Sprintf("announcement %d of %d arrives", n, len(all)), func() bool { return told[i].count(v) > 0 })
		}
	}
}

func announceBlocks(t testing.TB, open func(testing.TB) scs.Store) {
	release := make(chan struct{})
	defer close(release)
	besides(t, open, func() { <-release })
}

func announcePanics(t testing.TB, open func(testing.TB) scs.Store) {
	besides(t, open, func() { panic("storetest: a function that follows panics") })
}

// besides has a function with a fault follow between two others.
func besides(t testing.TB, open func(testing.TB) scs.Store, fault func()) {
	a, b := announcers(t, open)
	v := middleware.Revocation{SessionHandle: newKey()}
	var told [3]follower
	defer b.follow(told[0].tell)()
	defer b.follow(func(x middleware.Revocation) {
		if x.SessionHandle == v.SessionHandle {
			fault()
		}
	})()
	defer b.follow(told[1].tell)()
	defer a.follow(told[2].tell)()
	next := middleware.Revocation{SessionHandle: newKey()}
	a.announce(v)
	a.announce(next)
	for i := range told {
		for _, x := range []middleware.Revocation{v, next} {
			eventually(t, "an announcement reaches each follower beside one with a fault", func() bool { return told[i].count(x) > 0 })
		}
	}
}

func announceEndedContexts(t testing.TB, open func(testing.TB) scs.Store) {
	a, b := announcers(t, open)
	var told follower
	defer b.follow(told.tell)()
	for what, ctx := range ended() {
		v := middleware.Revocation{SessionHandle: newKey()}
		var err error
		returns(t, "Announce with "+what, func() { err = a.Announce(ctx, v) })
		if err == nil {
			eventually(t, "an announcement arrives whose Announce, with "+what+", has returned nil",
				func() bool { return told.count(v) > 0 })
		}
	}
}
