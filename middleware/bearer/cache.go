package bearer

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
)

// cache remembers what is known of tokens, by the hash of their spelling, of which [split]
// leaves one to a JWT. It never holds a token. When it is full the clock algorithm makes room:
// an entry that was asked for since the hand last passed stays once more.
type cache[V any] struct {
	mu      sync.RWMutex
	size    int
	entries map[[sha256.Size]byte]*entry[V]
	ring    []*entry[V]
	hand    int
}

type entry[V any] struct {
	sum  [sha256.Size]byte
	used atomic.Bool
	v    *V
}

func newCache[V any](size int) *cache[V] {
	return &cache[V]{size: size, entries: map[[sha256.Size]byte]*entry[V]{}}
}

// sumOf returns the SHA-256 of a token. It does not allocate for one of up to 2048 bytes.
func sumOf(token string) [sha256.Size]byte {
	var buf [2048]byte
	return sha256.Sum256(append(buf[:0], token...))
}

// get does not allocate.
func (c *cache[V]) get(sum [sha256.Size]byte) *V {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e := c.entries[sum]
	if e == nil {
		return nil
	}
	if !e.used.Load() {
		e.used.Store(true)
	}
	return e.v
}

func (c *cache[V]) put(sum [sha256.Size]byte, v *V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[sum]; e != nil {
		e.v = v
		return
	}
	e := &entry[V]{sum: sum, v: v}
	c.entries[sum] = e
	if len(c.ring) < c.size {
		c.ring = append(c.ring, e)
		return
	}
	for c.ring[c.hand].used.Swap(false) {
		c.hand = (c.hand + 1) % c.size
	}
	delete(c.entries, c.ring[c.hand].sum)
	c.ring[c.hand] = e
	c.hand = (c.hand + 1) % c.size
}
