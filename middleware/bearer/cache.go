package bearer

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
)

// cache remembers verified tokens by the hash of their spelling, of which [split] leaves
// one. It never holds a token. When it is full the clock algorithm makes room: an entry
// that was asked for since the hand last passed stays once more.
type cache struct {
	mu      sync.RWMutex
	size    int
	entries map[[sha256.Size]byte]*entry
	ring    []*entry
	hand    int
}

type entry struct {
	sum  [sha256.Size]byte
	used atomic.Bool
	v    *verified
}

func newCache(size int) *cache {
	return &cache{size: size, entries: map[[sha256.Size]byte]*entry{}}
}

// get does not allocate.
func (c *cache) get(sum [sha256.Size]byte) *verified {
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

func (c *cache) put(sum [sha256.Size]byte, v *verified) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[sum]; e != nil {
		e.v = v
		return
	}
	e := &entry{sum: sum, v: v}
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
