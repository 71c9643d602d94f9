package storetest

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// Limiter tests an implementation of [middleware.Limiter]. The open function returns a
// handle; every handle shares one limit, see the package. Give it one that admits between 2 and 100
// events of a key at once, and the next within 10 s; the rate makes no other difference.
func Limiter(t *testing.T, open func(testing.TB) middleware.Limiter) {
	t.Helper()
	runAll(t, "Limiter", open, limiterChecks)
}

var limiterChecks = []check[middleware.Limiter]{
	{contract: "beyond the limit Allow returns the time until the next event", run: refusesBeyond},
	{contract: "after that time the next event is admitted", run: admitsAfterwards, waits: true},
	{contract: "each key has a share of its own, whatever its bytes", run: keysApart},
	{contract: "every handle takes from the same share", run: sharesOneLimit},
	{contract: "concurrent events are counted, none twice and none left out", run: countsConcurrently},
	{contract: "Allow with an ended context returns", run: limiterEndedContexts},
}

// limiterHandle is the handle of a Limiter.
type limiterHandle struct {
	t testing.TB
	l middleware.Limiter
}

func limiterHandleOf(t testing.TB, open func(testing.TB) middleware.Limiter) *limiterHandle {
	t.Helper()
	return &limiterHandle{t, opened(t, open)}
}

// allow may be called in any goroutine.
func (g *limiterHandle) allow(key string) time.Duration {
	g.t.Helper()
	wait, err := ask(g.t, fmt.Sprintf("Allow(%.80q)", key), func(ctx context.Context) (time.Duration, error) { return g.l.Allow(ctx, key) })
	if err != nil {
		g.t.Errorf("Allow(%.80q): %v", key, err)
	}
	if wait < 0 {
		g.t.Errorf("Allow(%.80q) returns %v: a time until the next event is positive, and zero admits", key, wait)
	}
	return wait
}

const mostEvents = 100

// exhaust returns how many events of a new key are admitted at once, and then the time until
// the next.
func (g *limiterHandle) exhaust(key string) (admitted int, wait time.Duration) {
	g.t.Helper()
	for admitted = range mostEvents + 1 {
		if wait = g.allow(key); wait != 0 {
			break
		}
	}
	if wait <= 0 || wait > 10*time.Second || admitted < 2 {
		g.t.Fatalf("%d events of a new key are admitted, and Allow then returns %v: want 2 to %d, and then a time of at most 10 s",
			admitted, wait, mostEvents)
	}
	return admitted, wait
}

// share is exhaust for the key and for another one, and returns the lesser: a window may end
// during one of them.
func (g *limiterHandle) share(key string) (admitted int, wait time.Duration) {
	g.t.Helper()
	other, _ := g.exhaust(newKey())
	admitted, wait = g.exhaust(key)
	return min(admitted, other), wait
}

func refusesBeyond(t testing.TB, open func(testing.TB) middleware.Limiter) {
	g, key := limiterHandleOf(t, open), newKey()
	_, wait := g.exhaust(key)
	next := time.Now().Add(wait)
	for range 20 {
		again := g.allow(key)
		if now := time.Now(); again == 0 && now.Before(next.Add(-early)) {
			t.Errorf("Allow says that the next event is admitted in %v, and admits one %v before that", wait, next.Sub(now))
		} else if now.Add(again).After(next.Add(early)) && again > wait {
			t.Errorf("a refused event makes the time until the next longer, from %v to %v: it takes nothing", wait, again)
		}
	}
}

func admitsAfterwards(t testing.TB, open func(testing.TB) middleware.Limiter) {
	g, key := limiterHandleOf(t, open), newKey()
	g.exhaust(key)
	for range 3 {
		wait := g.allow(key)
		<-time.After(wait + 10*time.Millisecond)
		if again := g.allow(key); again != 0 {
			t.Errorf("Allow says that the next event is admitted in %v, and after that time refuses it for %v", wait, again)
		}
		for g.allow(key) == 0 && !t.Failed() { // a window may admit several
		}
	}
}

func keysApart(t testing.TB, open func(testing.TB) middleware.Limiter) {
	g, name := limiterHandleOf(t, open), newKey()
	first := name + "a"
	admitted, _ := g.share(first)
	for what, key := range map[string]string{
		"another last character": name + "b", "one character more": first + "a", "one character less": name,
		"capitals": name + "A", "a space behind": first + " ", "a space in front": " " + first,
		"a NUL and more": first + "\x00x", "bytes that are not UTF-8": first + "\xff\xfe",
		"1,000 bytes": strings.Repeat(first, 23), "1,000 bytes with another end": strings.Repeat(first, 22) + name + "b",
		"an address": "2001:db8:" + first[:4] + "::/64", "line ends": first + "\r\n", "a colon": first + ":x", "a star": first + "*",
	} {
		if n, _ := g.exhaust(key); n < admitted {
			t.Errorf("after another key has used its share, a key with %s has %d events, want %d", what, n, admitted)
		}
	}
	// Requests whose client is unknown have the empty key.
	if wait := g.allow(""); wait < 0 || wait > 10*time.Second {
		t.Errorf("the empty key is to wait %v", wait)
	}
}

func sharesOneLimit(t testing.TB, open func(testing.TB) middleware.Limiter) {
	a, b := limiterHandleOf(t, open), limiterHandleOf(t, open)
	key := newKey()
	start := time.Now()
	_, wait := a.exhaust(key)
	if again := b.allow(key); again == 0 && time.Since(start) < wait-early/2 {
		t.Error("one handle refuses, and another admits: does open return another limit each time?")
	}
}

// countsConcurrently allows for the events that become due while it runs.
func countsConcurrently(t testing.TB, open func(testing.TB) middleware.Limiter) {
	gates := []*limiterHandle{limiterHandleOf(t, open), limiterHandleOf(t, open)}
	least, wait := gates[0].share(newKey())
	key := newKey()
	start := time.Now()
	var admitted atomic.Int32
	together(50, func(i int) {
		for range 2*mostEvents/50 + 2 {
			if gates[i%2].allow(key) == 0 {
				admitted.Add(1)
			}
		}
	})
	took := time.Since(start)
	most := least + (least+1)*int(took/wait+1)
	if took < wait/2 {
		most = least + 1
	}
	if n := int(admitted.Load()); n < least || n > most {
		t.Errorf("of concurrent events, %d are admitted within %v, want %d to %d", n, took, least, most)
	}
}

func limiterEndedContexts(t testing.TB, open func(testing.TB) middleware.Limiter) {
	g, key := limiterHandleOf(t, open), newKey()
	g.exhaust(key)
	for what, ctx := range ended() {
		returns(t, "Allow with "+what, func() {
			if wait, err := g.l.Allow(ctx, key); err == nil && wait < 0 {
				t.Errorf("Allow with %s returns %v", what, wait)
			}
		})
	}
}
