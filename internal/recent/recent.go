// Package recent remembers values by strings, in bounded memory.
package recent

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// Cache remembers the values of the strings seen last, so that the common ones cost no
// computation and no allocation. A client may choose the strings: it can displace others, but
// the memory is bounded. It is safe for concurrent use. A nil Cache remembers nothing.
type Cache[V any] struct {
	seed  maphash.Seed
	slots [512]atomic.Pointer[entry[V]]
}

type entry[V any] struct {
	key   string
	value V
}

// longest bounds a key, in bytes; a longer one is not remembered.
const longest = 300

// New returns an empty Cache.
func New[V any]() *Cache[V] { return &Cache[V]{seed: maphash.MakeSeed()} }

func (c *Cache[V]) slot(key string) *atomic.Pointer[entry[V]] {
	return &c.slots[maphash.String(c.seed, key)%uint64(len(c.slots))]
}

// Get returns the value of the key; false if it is not remembered.
func (c *Cache[V]) Get(key string) (value V, ok bool) {
	if c != nil {
		if e := c.slot(key).Load(); e != nil && e.key == key {
			return e.value, true
		}
	}
	return value, false
}

// Put remembers the value until a key with the same slot takes its place.
func (c *Cache[V]) Put(key string, value V) {
	if c != nil && len(key) <= longest {
		key = strings.Clone(key) // the key may be a piece of a whole header
		c.slot(key).Store(&entry[V]{key, value})
	}
}
