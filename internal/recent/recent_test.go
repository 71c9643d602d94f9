package recent

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// A value is that of its own key, also while others take its place.
func TestGetReturnsTheValueOfTheKey(t *testing.T) {
	t.Parallel()
	c := New[string]()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 5000 {
				key := fmt.Sprint("key", i%2000)
				if got, ok := c.Get(key); ok && got != "value of "+key {
					t.Errorf("%q: %q", key, got)
				}
				c.Put(key, "value of "+key)
			}
		})
	}
	all.Wait()
}

func TestLongKeysAreNotRemembered(t *testing.T) {
	t.Parallel()
	c := New[int]()
	for size, want := range map[int]bool{0: true, 300: true, 301: false} {
		key := strings.Repeat("x", size)
		c.Put(key, 1)
		if _, ok := c.Get(key); ok != want {
			t.Errorf("%d bytes: remembered %v, want %v", size, ok, want)
		}
	}
}

func TestNilCacheRemembersNothing(t *testing.T) {
	t.Parallel()
	var c *Cache[int]
	c.Put("key", 1)
	if _, ok := c.Get("key"); ok {
		t.Error("found")
	}
}
