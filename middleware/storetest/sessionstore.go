package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
)

// SessionStore tests a store for session.Config.Store and session.NewRevocations. The open
// function returns a handle; every handle has the same data, see the package. If the store is a
// [session.Swapper], a [session.ManyFinder] or a [session.Announcer], it is tested as such too.
//
// Keys are 43 characters, the base64url of 32 bytes; values are 1 to 64,000 bytes of any kind;
// an expiry is at most 31 days ahead, or further for a revocation that asks for it.
func SessionStore(t *testing.T, open func(testing.TB) scs.Store) {
	t.Helper()
	runAll(t, "SessionStore", open, storeChecks, expiryChecks, freshChecks, swapperChecks, manyFinderChecks, announcerChecks)
}

var storeChecks = []check[scs.Store]{
	{contract: "Find returns the bytes that Commit was given", run: sameBytes},
	{contract: "keys are compared exactly, capitals too", run: exactKeys},
	{contract: "an absent key is not found, without an error", run: absentKey},
	{contract: "Commit replaces what is stored", run: replaces},
	{contract: "Delete removes one key, and is not an error for an absent one", run: deletes},
	{contract: "bytes that Find has returned do not change any more", run: notChanged},
	{contract: "All returns every entry that lives, under its key", run: lists, waits: true},
}

func sameBytes(t testing.TB, open func(testing.TB) scs.Store) {
	s := storeHandleOf(t, open)
	for name, b := range map[string][]byte{
		"a byte":                        {'x'},
		"a NUL byte":                    {0},
		"NUL bytes at both ends":        []byte("\x00x\x00"),
		"spaces and line ends":          []byte(" \r\n\t x \r\n "),
		"text that is not UTF-8":        []byte("\xff\xfe\xc3\x28"),
		"quotes and backslashes":        []byte(`'"\'; DROP TABLE sessions; --`),
		"digits":                        []byte("0123"),
		"64 bytes, the most of an end":  bytesOf(64, 1),
		"300 bytes of every value":      bytesOf(300, 2),
		"64,000 bytes, the most of all": bytesOf(64_000, 3),
	} {
		key := newKey()
		s.commit(key, b, inAnHour())
		s.finds(name, key, b)
	}
}

func exactKeys(t testing.TB, open func(testing.TB) scs.Store) {
	s := storeHandleOf(t, open)
	key := newKey()
	keys := []string{
		key, swapCase(key), key[:42] + other(key[42]), other(key[0]) + key[1:],
		"-" + key[1:], "_" + key[1:], "--" + key[2:], "__" + key[2:], key[:40] + "--" + key[42:], key[:40] + "__" + key[42:],
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	for i, key := range keys {
		s.commit(key, bytesOf(10, byte(i)), inAnHour())
	}
	for i, key := range keys {
		s.finds("after similar keys", key, bytesOf(10, byte(i)))
	}
	s.delete(key)
	for i, k := range keys {
		if k != key {
			s.finds("after the Delete of a similar key", k, bytesOf(10, byte(i)))
		}
	}
}

// swapCase leaves the last character, which may be one of 16.
func swapCase(key string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r ^ 0x20
		}
		return r
	}, key[:42]) + key[42:]
}

// other returns another character, which may stand at the end.
func other(c byte) string {
	if c == 'A' {
		return "E"
	}
	return "A"
}

func absentKey(t testing.TB, open func(testing.TB) scs.Store) {
	s := storeHandleOf(t, open)
	key := newKey()
	s.finds("before any Commit", key, nil)
	s.commit(newKey(), []byte("another's"), inAnHour())
	s.finds("after the Commit of another key", key, nil)
}

func replaces(t testing.TB, open func(testing.TB) scs.Store) {
	s := storeHandleOf(t, open)
	key := newKey()
	for i, size := range []int{10, 10, 1, 20_000, 5} {
		b := bytesOf(size, byte(i))
		s.commit(key, b, inAnHour())
		s.finds(fmt.Sprintf("after Commit number %d", i+1), key, b)
	}
}

func deletes(t testing.TB, open func(testing.TB) scs.Store) {
	s := storeHandleOf(t, open)
	key, kept := newKey(), newKey()
	s.delete(key)
	s.commit(kept, []byte("kept"), inAnHour())
	s.commit(key, []byte("first"), inAnHour())
	s.delete(key)
	s.finds("after Delete", key, nil)
	s.delete(key)
	s.commit(key, []byte("second"), inAnHour())
	s.finds("after Commit, Delete and Commit", key, []byte("second"))
	s.finds("after the Delete of another key", kept, []byte("kept"))
}

// notChanged writes values of the same size, so that a store which writes in place is found.
func notChanged(t testing.TB, open func(testing.TB) scs.Store) {
	s := storeHandleOf(t, open)
	key, want := newKey(), bytesOf(1000, 1)
	s.commit(key, slices.Clone(want), inAnHour())
	got := s.find(key)
	s.commit(key, bytesOf(1000, 2), inAnHour())
	for i := range 50 {
		s.commit(newKey(), bytesOf(1000, byte(i)), inAnHour())
	}
	second := s.find(key)
	s.delete(key)
	for i := range 50 {
		s.commit(newKey(), bytesOf(1000, byte(i)), inAnHour())
	}
	if string(got) != string(want) || string(second) != string(bytesOf(1000, 2)) {
		t.Errorf("after later calls the bytes that two calls of Find returned are %s and %s, want %s and %s",
			shown(got), shown(second), shown(want), shown(bytesOf(1000, 2)))
	}
}

func (h *storeHandle) tryAll() (map[string][]byte, error) {
	return ask(h.t, "All", func(ctx context.Context) (map[string][]byte, error) {
		switch s := h.s.(type) {
		case scs.IterableCtxStore:
			return s.AllCtx(ctx)
		case scs.IterableStore:
			return s.All()
		}
		return nil, errors.ErrUnsupported
	})
}

func lists(t testing.TB, open func(testing.TB) scs.Store) {
	s := storeHandleOf(t, open)
	live := map[string][]byte{}
	for i := range 20 {
		live[newKey()] = bytesOf(100*i+1, byte(i))
	}
	for key, b := range live {
		s.commit(key, b, inAnHour())
	}
	gone, past := newKey(), newKey()
	s.commit(gone, []byte("deleted"), inAnHour())
	s.delete(gone)
	s.commit(past, []byte("expires"), time.Now().Add(2*time.Second))
	eventually(t, "the entry of 2 s ends", func() bool { return s.find(past) == nil })
	all, err := s.tryAll()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("the store cannot list: session.Manager.Sessions is not supported on it")
	}
	if err != nil || all == nil {
		t.Fatalf("All returns the map %v and the error %v", all, err)
	}
	for key, want := range live {
		if got, ok := all[key]; !ok || string(got) != string(want) {
			t.Errorf("All has %s under %q, want %s", shown(got), key, shown(want))
		}
	}
	for what, key := range map[string]string{"was deleted": gone, "has expired": past} {
		if _, ok := all[key]; ok {
			t.Errorf("All has a key that %s", what)
		}
	}
}
