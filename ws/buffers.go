package ws

import "sync"

// buffers holds the memory of messages that are being read or written.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 4<<10)
	return &b
}}

// maxPooled keeps a rare large message from staying in the pool.
const maxPooled = 128 << 10

func putBuffer(b *[]byte) {
	if cap(*b) <= maxPooled {
		*b = (*b)[:0]
		buffers.Put(b)
	}
}
