package live

import (
	"encoding/binary"
	"math"
)

// frameCount finds the boundaries of WebSocket frames (RFC 6455 §5.2) as the bytes of one
// direction pass. It judges nothing and copies no payload. The zero value stands at a
// boundary.
type frameCount struct {
	left   uint64 // payload that is still to come in the frame under way
	header [10]byte
	have   uint8 // bytes of the header so far, the mask included
	closed bool  // a close frame has passed
}

// boundary reports whether the last frame is complete and the next has not begun.
func (f *frameCount) boundary() bool { return f.have == 0 }

// pass counts the bytes of p.
func (f *frameCount) pass(p []byte) {
	for len(p) > 0 {
		p = p[f.step(p):]
	}
}

// rest returns how many bytes of p belong to the frame under way; 0 at a boundary.
func (f *frameCount) rest(p []byte) int {
	if f.boundary() {
		return 0
	}
	g := *f
	return g.step(p)
}

// step counts bytes of p up to the end of one frame, and returns how many.
func (f *frameCount) step(p []byte) (n int) {
	for n < len(p) && f.have < f.headerLen() {
		if int(f.have) < len(f.header) {
			f.header[f.have] = p[n] // of a mask behind it, the bytes do not matter
		}
		f.have++
		n++
		if f.have == f.headerLen() {
			f.left = f.length()
		}
	}
	if f.have < f.headerLen() {
		return n
	}
	payload := min(f.left, uint64(len(p)-n))
	f.left -= payload
	if f.left == 0 {
		f.have = 0
		f.closed = f.closed || f.header[0]&0x0f == opClose
	}
	return n + int(payload)
}

const opClose = 0x8 // RFC 6455 §5.2

// headerLen is the length of the header, as far as its bytes tell.
func (f *frameCount) headerLen() uint8 {
	if f.have < 2 {
		return 2
	}
	n := uint8(2)
	switch f.header[1] & 0x7f {
	case 126:
		n = 4
	case 127:
		n = 10
	}
	if f.header[1]&0x80 != 0 {
		n += 4
	}
	return n
}

// length returns the length of the payload. A length that RFC 6455 §5.2 forbids, with the
// most significant bit set, has no end.
func (f *frameCount) length() uint64 {
	switch short := f.header[1] & 0x7f; short {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.header[2:]))
	case 127:
		if n := binary.BigEndian.Uint64(f.header[2:]); n <= math.MaxInt64 {
			return n
		}
		return math.MaxUint64
	default:
		return uint64(short)
	}
}
