package middleware

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// recent remembers the values of the strings seen last, so that the common ones cost
// no allocation. A client may choose the strings: it can displace others, but the memory is
// bounded. It is safe for concurrent use. A nil recent remembers nothing.
type recent[V any] struct {
	seed  maphash.Seed
	slots [256]atomic.Pointer[recentEntry[V]]
}

type recentEntry[V any] struct {
	key   string
	value V
}

// longestRecent bounds a key; a longer one is not remembered.
const longestRecent = 300

func newRecent[V any]() *recent[V] { return &recent[V]{seed: maphash.MakeSeed()} }

func (c *recent[V]) slot(key string) *atomic.Pointer[recentEntry[V]] {
	return &c.slots[maphash.String(c.seed, key)%uint64(len(c.slots))]
}

func (c *recent[V]) get(key string) (value V, ok bool) {
	if c != nil {
		if e := c.slot(key).Load(); e != nil && e.key == key {
			return e.value, true
		}
	}
	return value, false
}

func (c *recent[V]) put(key string, value V) {
	if c != nil && len(key) <= longestRecent {
		key = strings.Clone(key) // the key may be a piece of a whole header
		c.slot(key).Store(&recentEntry[V]{key, value})
	}
}
