package buffer

import "sync"

var pool = sync.Pool{New: func() any {
	b := make([]byte, 0, 4<<10)
	return &b
}}

// Most keeps a rare large message from staying in the pool.
const Most = 128 << 10

// Get returns memory of length 0.
func Get() *[]byte { return pool.Get().(*[]byte) }

// Put gives memory back, which the caller no longer uses.
func Put(b *[]byte) {
	if cap(*b) <= Most {
		*b = (*b)[:0]
		pool.Put(b)
	}
}
