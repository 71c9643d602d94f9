package bearer

import (
	"crypto/sha256"
	"testing"
)

func sumOf(i int) [sha256.Size]byte { return sha256.Sum256([]byte{byte(i), byte(i >> 8)}) }

func TestTheCacheIsBounded(t *testing.T) {
	c := newCache[verified](8)
	for i := range 1000 {
		c.put(sumOf(i), &verified{})
		c.put(sumOf(i), &verified{}) // again: nothing more
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
}

func TestTheCacheKeepsWhatIsAskedFor(t *testing.T) {
	c := newCache[verified](8)
	c.put(sumOf(0), &verified{})
	for i := 1; i < 1000; i++ {
		if c.get(sumOf(0)) == nil {
			t.Fatalf("gone after %d others", i)
		}
		c.put(sumOf(i), &verified{})
	}
}
