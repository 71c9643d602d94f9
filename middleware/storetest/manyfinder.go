package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/securews/securews/session"
)

var manyFinderChecks = []check[scs.Store]{
	{contract: "FindMany returns the values of the keys in their order, nil for an absent one", run: manyOrder},
	{contract: "FindMany returns nil for a key that has expired", run: manyExpired, waits: true},
	{contract: "FindMany is as new as Find", run: manyFresh},
	{contract: "FindMany with an ended context fails, or tells the truth", run: manyEndedContexts},
}

// manyFinders returns two handles, or skips.
func manyFinders(t testing.TB, open func(testing.TB) scs.Store) (a, b *storeHandle) {
	t.Helper()
	a, b = storeHandleOf(t, open), storeHandleOf(t, open)
	if _, ok := a.s.(session.ManyFinder); !ok {
		t.Skip("the store is not a session.ManyFinder")
	}
	return a, b
}

// findsMany compares with want, in which nil is an absent key.
func (h *storeHandle) findsMany(when string, keys []string, want [][]byte) {
	h.t.Helper()
	got, err := ask(h.t, "FindMany", func(ctx context.Context) ([][]byte, error) {
		return h.s.(session.ManyFinder).FindMany(ctx, keys...)
	})
	if err != nil || len(got) != len(want) {
		h.t.Errorf("%s: FindMany of %d keys returns %d values and the error %v", when, len(keys), len(got), err)
		return
	}
	for i := range want {
		switch {
		case want[i] == nil && got[i] != nil:
			h.t.Errorf("%s: value %d of FindMany is %s, want nil: the key is absent", when, i, shown(got[i]))
		case string(got[i]) != string(want[i]):
			h.t.Errorf("%s: value %d of FindMany is %s, want %s", when, i, shown(got[i]), shown(want[i]))
		}
	}
}

func manyOrder(t testing.TB, open func(testing.TB) scs.Store) {
	s, _ := manyFinders(t, open)
	keys, values := make([]string, 6), make([][]byte, 6)
	for i := range keys {
		if keys[i] = newKey(); i != 2 && i != 5 {
			values[i] = bytesOf(100*i+1, byte(i))
			s.commit(keys[i], values[i], inAnHour())
		}
	}
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 5}, {5, 4}, {4}, {2}, {1, 1, 2, 1}, {0, 1, 2, 3, 4, 5}} {
		var k []string
		var want [][]byte
		for _, i := range order {
			k, want = append(k, keys[i]), append(want, values[i])
		}
		s.findsMany(fmt.Sprintf("the keys %v, of which 2 and 5 are absent", order), k, want)
	}
	s.findsMany("a value of 64,000 bytes", keys[:1], [][]byte{values[0]})
	large := newKey()
	s.commit(large, bytesOf(64_000, 9), inAnHour())
	s.findsMany("a value of 64,000 bytes", []string{keys[2], large}, [][]byte{nil, bytesOf(64_000, 9)})
}

func manyExpired(t testing.TB, open func(testing.TB) scs.Store) {
	s, _ := manyFinders(t, open)
	keys := []string{newKey(), newKey()}
	s.commit(keys[0], []byte("short"), time.Now().Add(2*time.Second))
	s.commit(keys[1], []byte("long"), inAnHour())
	eventually(t, "an entry of 2 s ends", func() bool { return s.find(keys[0]) == nil })
	s.findsMany("the first key has expired", keys, [][]byte{nil, []byte("long")})
}

func manyFresh(t testing.TB, open func(testing.TB) scs.Store) {
	reader, writer := manyFinders(t, open)
	for i := range 20 {
		keys := []string{newKey(), newKey()}
		reader.findsMany("before any Commit", keys, [][]byte{nil, nil})
		for n := range 3 {
			b := fmt.Appendf(nil, "value %d.%d", i, n)
			writer.commit(keys[1], b, inAnHour())
			reader.findsMany("after the Commit of another handle", keys, [][]byte{nil, b})
		}
		writer.delete(keys[1])
		reader.findsMany("after the Delete of another handle", keys, [][]byte{nil, nil})
		if t.Failed() {
			return
		}
	}
}

func manyEndedContexts(t testing.TB, open func(testing.TB) scs.Store) {
	s, _ := manyFinders(t, open)
	for what, ctx := range ended() {
		keys := []string{newKey(), newKey()}
		s.commit(keys[0], []byte("there"), inAnHour())
		returns(t, "FindMany with "+what, func() {
			got, err := s.s.(session.ManyFinder).FindMany(ctx, keys...)
			if err == nil && (len(got) != 2 || string(got[0]) != "there" || got[1] != nil) {
				t.Errorf("FindMany with %s returns %q without an error", what, got)
			}
		})
	}
}
