package storetest

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
)

var freshChecks = []check[scs.Store]{
	{contract: "every handle finds the last change at once", run: fresh},
	{contract: "entries outlive the handle that wrote them", run: outlives},
	{contract: "calls may be concurrent, and find whole values, never older than the last", run: concurrent},
	{contract: "without an answer Find fails, and never says that a key is absent", run: endedContexts},
}

// fresh asks before each change, so that an answer which is remembered, absence too, is
// found.
func fresh(t testing.TB, open func(testing.TB) scs.Store) {
	reader, writer := storeHandleOf(t, open), storeHandleOf(t, open)
	const because = "a sign-out would not hold; does the store answer from a cache or a replica, or does open return other data each time?"
	for i := range 20 {
		key := newKey()
		reader.finds("before any Commit", key, nil)
		for n := range 3 {
			b := fmt.Appendf(nil, "value %d.%d", i, n)
			writer.commit(key, b, inAnHour())
			reader.finds("after the Commit of another handle ("+because+")", key, b)
			writer.finds("after its own Commit", key, b)
		}
		writer.delete(key)
		reader.finds("after the Delete of another handle ("+because+")", key, nil)
		writer.finds("after its own Delete", key, nil)
		if t.Failed() {
			return
		}
	}
}

func outlives(t testing.TB, open func(testing.TB) scs.Store) {
	first := &process{TB: t}
	defer first.end()
	key, deleted := newKey(), newKey()
	s := storeHandleOf(first, open)
	s.commit(key, []byte("kept"), inAnHour())
	s.commit(deleted, []byte("deleted"), inAnHour())
	s.delete(deleted)
	first.end()
	s = storeHandleOf(t, open)
	s.finds("after the handle that wrote it was closed", key, []byte("kept"))
	s.finds("after the handle that deleted it was closed", deleted, nil)
}

// concurrent has one writer for each of some keys, and readers that know how far it is.
func concurrent(t testing.TB, open func(testing.TB) scs.Store) {
	const keys, versions = 4, 40
	handles := []*storeHandle{storeHandleOf(t, open), storeHandleOf(t, open)}
	var key [keys]string
	var written [keys]atomic.Uint64
	for i := range key {
		key[i] = newKey()
		handles[0].commit(key[i], versionOf(0), inAnHour())
		handles[1].finds("before other writes", key[i], versionOf(0))
	}
	together(3*keys, func(g int) {
		i, s := g%keys, handles[g/keys%len(handles)] // each key has a reader on either handle
		if g < keys {
			for n := range uint64(versions) {
				s.commit(key[i], versionOf(n+1), inAnHour())
				written[i].Store(n + 1)
			}
			return
		}
		least := uint64(0)
		for end := time.Now().Add(patience); least < versions && time.Now().Before(end) && !t.Failed(); {
			least = written[i].Load()
			b := s.find(key[i])
			if n, whole := versionIn(b); !whole || n < least {
				t.Errorf("version %d was written, and Find returns version %d, whole: %v: %s", least, n, whole, shown(b))
			}
		}
	})
	together(keys, func(i int) {
		own := newKey()
		for n := range uint64(versions) {
			handles[i%2].commit(own, versionOf(n), inAnHour())
			handles[i%2].finds("after its own Commit, beside others", own, versionOf(n))
		}
		handles[i%2].delete(own)
		handles[i%2].finds("after its own Delete, beside others", own, nil)
	})
}

// versionOf is a value that tells whether it is whole.
func versionOf(n uint64) []byte {
	return binary.BigEndian.AppendUint64(bytesOf(2000, byte(n)), n)
}

func versionIn(b []byte) (n uint64, whole bool) {
	if len(b) < 8 {
		return 0, false
	}
	n = binary.BigEndian.Uint64(b[len(b)-8:])
	return n, string(b) == string(versionOf(n))
}

func endedContexts(t testing.TB, open func(testing.TB) scs.Store) {
	s := storeHandleOf(t, open)
	if _, ok := s.s.(scs.CtxStore); !ok {
		t.Skip("the store has no methods with a context")
	}
	for what, ctx := range ended() {
		key, want := newKey(), []byte("there")
		s.commit(key, want, inAnHour())
		returns(t, "Find with "+what, func() {
			if b, found, err := s.tryFind(ctx, key); err == nil && (!found || string(b) != string(want)) {
				t.Errorf("Find with %s: found %v, %s, without an error; a mark that is not found is one that was not set",
					what, found, shown(b))
			}
		})
		returns(t, "Commit with "+what, func() {
			if err := s.tryCommit(ctx, key, []byte("new"), inAnHour()); err == nil {
				s.finds("after Commit with "+what+" has returned nil", key, []byte("new"))
			}
		})
		returns(t, "Delete with "+what, func() {
			if err := s.tryDelete(ctx, key); err == nil {
				s.finds("after Delete with "+what+" has returned nil", key, nil)
			}
		})
		if c, ok := s.s.(scs.IterableCtxStore); ok {
			listed := newKey()
			s.commit(listed, want, inAnHour())
			returns(t, "All with "+what, func() {
				if all, err := c.AllCtx(ctx); err == nil && string(all[listed]) != string(want) {
					t.Errorf("All with %s leaves an entry out, without an error", what)
				}
			})
		}
	}
}
