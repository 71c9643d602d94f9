package bearer

import (
	"crypto/sha256"
	"runtime"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

func sumOfNumber(i int) [sha256.Size]byte { return sha256.Sum256([]byte{byte(i), byte(i >> 8)}) }

func TestTheCacheIsBounded(t *testing.T) {
	c := newCache[verified](8)
	for i := range 1000 {
		c.put(sumOfNumber(i), &verified{})
		c.put(sumOfNumber(i), &verified{}) // again: nothing more
		if len(c.entries) > 8 || len(c.ring) > 8 || len(c.entries) != len(c.ring) {
			t.Fatalf("after %d: %d entries, %d in the ring", i, len(c.entries), len(c.ring))
		}
	}
}

// A token of thousands of scopes is accepted, and not remembered: an entry has at most 16 KiB.
func TestTheCacheKeepsNoLargeEntry(t *testing.T) {
	small, large := &verified{}, &verified{}
	small.principal.Scopes = []string{"read", "write"}
	small.principal.Attributes = map[string]string{"client_id": "app"}
	for range 4000 {
		large.principal.Roles = append(large.principal.Roles, "a")
	}
	if n := small.size(); n > 1<<10 {
		t.Errorf("a usual entry has %d bytes", n)
	}
	if n := large.size(); n <= maxEntry {
		t.Errorf("4000 roles have %d bytes", n)
	}
	long := strings.Repeat("a", maxEntry)
	for name, v := range map[string]*verified{ // an answer of introspection has up to 64 KiB
		"a sub":          {principal: middleware.Principal{Subject: long}},
		"a sealed token": {principal: middleware.Principal{SealedToken: long}},
	} {
		if n := v.size(); n <= maxEntry {
			t.Errorf("%s of 16 KiB has %d bytes", name, n)
		}
	}
}

func TestTheCacheKeepsWhatIsAskedFor(t *testing.T) {
	c := newCache[verified](8)
	c.put(sumOfNumber(0), &verified{})
	for i := 1; i < 1000; i++ {
		if c.get(sumOfNumber(0)) == nil {
			t.Fatalf("gone after %d others", i)
		}
		c.put(sumOfNumber(i), &verified{})
	}
}

// RFC 6749 §3.3 has one space between scopes. An issuer that writes thousands of them does not have the
// text kept with the words, whose memory is counted alone.
func TestScopesKeepNoSpaces(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	kept := make([][]string, 64)
	for i := range kept {
		kept[i], _ = splitScope(strings.Repeat(" ", 1<<20) + "read" + strings.Repeat(" ", i))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("64 scopes keep %d bytes", grown)
	}
	runtime.KeepAlive(kept)
}
