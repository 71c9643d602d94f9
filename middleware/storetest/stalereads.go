package storetest

import (
	"sync"

	"github.com/alexedwards/scs/v2"
)

// StaleReads returns s with a cache in front that keeps the first answer about each key,
// absence too, until this handle writes the key. It does not notice what other handles write.
// Such a store breaks the contract: a sign-out on another node does not hold. [SessionStore]
// rejects it.
func StaleReads(s scs.Store) scs.Store {
	return inFront(s, Faults{}, &cache{values: map[string][]byte{}})
}

// cache has the first value of each key; nil is an absent one. A nil cache is always empty.
type cache struct {
	mu     sync.Mutex
	values map[string][]byte
}

func (c *cache) get(key string) (b []byte, ok bool) {
	if c == nil {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok = c.values[key]
	return b, ok
}

func (c *cache) put(key string, b []byte) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.values[key]; !ok {
		c.values[key] = b
	}
}

func (c *cache) drop(key string) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.values, key)
}
