package storetest

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/securews/securews/session"
)

var swapperChecks = []check[scs.Store]{
	{contract: "Swap writes if the stored bytes are equal to old, and else nothing", run: swapCompares},
	{contract: "Swap with a nil old writes if the key is absent or has expired", run: swapInserts, waits: true},
	{contract: "Swap never writes back what was deleted", run: swapAfterDelete},
	{contract: "Swap replaces the expiry", run: swapExpiry, waits: true},
	{contract: "of any number of concurrent Swaps with one old, one writes", run: swapOneWins},
	{contract: "no concurrent change by Swap is lost", run: swapCounts},
	{contract: "Swap with an ended context fails, or tells the truth", run: swapEndedContexts},
}

// swapper returns two handles, or skips.
func swappers(t testing.TB, open func(testing.TB) scs.Store) (a, b *storeHandle) {
	t.Helper()
	a, b = storeHandleOf(t, open), storeHandleOf(t, open)
	if _, ok := a.s.(session.Swapper); !ok {
		t.Skip("the store is not a session.Swapper")
	}
	return a, b
}

func swapCompares(t testing.TB, open func(testing.TB) scs.Store) {
	a, b := swappers(t, open)
	key, stored := newKey(), bytesOf(64_000, 1)
	a.commit(key, stored, inAnHour())
	for name, old := range map[string][]byte{
		"other bytes":             []byte("other"),
		"bytes of the same size":  bytesOf(64_000, 2),
		"all bytes but the last":  stored[:len(stored)-1],
		"one byte more":           append(bytesOf(64_000, 1), 0),
		"the last byte another's": append(bytesOf(63_999, 1), stored[63_999]+1),
	} {
		b.swaps("old is "+name, key, old, []byte("new"), inAnHour(), false)
		a.finds("after a Swap whose old is "+name, key, stored)
	}
	b.swaps("old is equal", key, bytesOf(64_000, 1), []byte("new"), inAnHour(), true)
	a.finds("after Swap", key, []byte("new"))
	a.swaps("old is what was there before", key, stored, []byte("newer"), inAnHour(), false)
	a.swaps("old is equal", key, []byte("new"), bytesOf(64_000, 3), inAnHour(), true)
	b.finds("after a second Swap", key, bytesOf(64_000, 3))
}

func swapInserts(t testing.TB, open func(testing.TB) scs.Store) {
	a, b := swappers(t, open)
	key := newKey()
	a.swaps("the key is absent, old is not nil", key, []byte("old"), []byte("new"), inAnHour(), false)
	b.finds("after that", key, nil)
	a.swaps("the key is absent", key, nil, []byte("new"), inAnHour(), true)
	b.finds("after that", key, []byte("new"))
	b.swaps("the key is there", key, nil, []byte("newer"), inAnHour(), false)
	a.finds("after that", key, []byte("new"))

	short := newKey()
	a.commit(short, []byte("short"), time.Now().Add(2*time.Second))
	eventually(t, "an entry of 2 s ends", func() bool { return a.find(short) == nil })
	a.swaps("the key has expired, old is its last value", short, []byte("short"), []byte("new"), inAnHour(), false)
	a.swaps("the key has expired", short, nil, []byte("new"), inAnHour(), true)
	b.finds("after that", short, []byte("new"))
}

func swapAfterDelete(t testing.TB, open func(testing.TB) scs.Store) {
	a, b := swappers(t, open)
	for range 20 {
		key, old := newKey(), []byte("old")
		a.commit(key, old, inAnHour())
		together(2, func(i int) {
			if i == 0 {
				a.swap(key, old, []byte("new"), inAnHour())
			} else {
				b.delete(key)
			}
		})
		a.finds("after Delete beside a Swap has returned", key, nil)
		a.swaps("after Delete", key, old, []byte("new"), inAnHour(), false)
		b.finds("after a Swap of what was deleted", key, nil)
	}
}

func swapExpiry(t testing.TB, open func(testing.TB) scs.Store) {
	a, b := swappers(t, open)
	inserted, shorter, longer, failed := newKey(), newKey(), newKey(), newKey()
	soon := time.Now().Add(2 * time.Second)
	a.swaps("absent", inserted, nil, []byte("short"), soon, true)
	a.commit(shorter, []byte("long"), inAnHour())
	a.swaps("equal", shorter, []byte("long"), []byte("short"), soon, true)
	a.commit(longer, []byte("short"), soon)
	a.swaps("equal", longer, []byte("short"), []byte("long"), inAnHour(), true)
	a.commit(failed, []byte("long"), inAnHour())
	a.swaps("not equal", failed, []byte("other"), []byte("short"), soon, false)
	for _, key := range []string{inserted, shorter} {
		eventually(t, "an entry that Swap wrote with an expiry of 2 s ends", func() bool { return b.find(key) == nil })
	}
	b.finds("after the first expiry, which Swap has moved by an hour", longer, []byte("long"))
	b.finds("after the expiry of a Swap that returned false", failed, []byte("long"))
}

func swapOneWins(t testing.TB, open func(testing.TB) scs.Store) {
	const racers = 50
	a, b := swappers(t, open)
	for name, old := range map[string][]byte{"a nil old": nil, "an old that is stored": []byte("old")} {
		for range 5 {
			key := newKey()
			if old != nil {
				a.commit(key, old, inAnHour())
			}
			var winners atomic.Int32
			var winner atomic.Int64
			together(racers, func(i int) {
				s := a
				if i%2 == 1 {
					s = b
				}
				if s.swap(key, old, fmt.Appendf(nil, "racer %d", i), inAnHour()) {
					winners.Add(1)
					winner.Store(int64(i))
				}
			})
			if n := winners.Load(); n != 1 {
				t.Errorf("%d racers with %s: %d have been told that theirs is written, want 1", racers, name, n)
			}
			a.finds("after the race", key, fmt.Appendf(nil, "racer %d", winner.Load()))
		}
	}
}

// swapCounts has goroutines count up in one entry.
func swapCounts(t testing.TB, open func(testing.TB) scs.Store) {
	const counters, each = 8, 10
	a, b := swappers(t, open)
	key := newKey()
	a.commit(key, counted(0), inAnHour())
	together(counters, func(i int) {
		s := a
		if i%2 == 1 {
			s = b
		}
		end := time.Now().Add(patience)
		for n := 0; n < each && time.Now().Before(end) && !t.Failed(); {
			old := s.find(key)
			if len(old) != 8 {
				t.Errorf("beside Swaps, Find returns %s, want 8 bytes", shown(old))
				return
			}
			if s.swap(key, old, counted(binary.BigEndian.Uint64(old)+1), inAnHour()) {
				n++
			}
		}
	})
	a.finds(fmt.Sprintf("after %d increments by Swap", counters*each), key, counted(counters*each))
}

func counted(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func swapEndedContexts(t testing.TB, open func(testing.TB) scs.Store) {
	a, b := swappers(t, open)
	for what, ctx := range ended() {
		key, old := newKey(), []byte("old")
		a.commit(key, old, inAnHour())
		returns(t, "Swap with "+what, func() {
			done, err := a.s.(session.Swapper).Swap(ctx, key, old, []byte("new"), inAnHour())
			switch {
			case err == nil && !done:
				t.Errorf("Swap with %s returns false without an error, and old is equal to what is stored", what)
			case err == nil:
				b.finds("after Swap with "+what+" has returned true", key, []byte("new"))
			case done:
				t.Errorf("Swap with %s returns true and the error %v", what, err)
			}
		})
	}
}
