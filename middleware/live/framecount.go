package live

import "math"

// frameCount finds the boundaries of WebSocket frames (RFC 6455 §5.2) as the bytes of one
// direction pass. It judges nothing and copies no payload. The zero value stands at a
// boundary.
type frameCount struct {
	left   uint64 // payload that is still to come in the frame under way; as far as its bytes tell
	have   uint8  // bytes of the header so far, the mask included
	length uint8  // of the header up to the mask, from its second byte on
	mask   uint8  // its length: 4 or 0
	opcode uint8
	closed bool // a close frame has passed
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

const opClose = 0x8 // RFC 6455 §5.2

// step counts bytes of p up to the end of one frame, and returns how many.
func (f *frameCount) step(p []byte) (n int) {
	for n < len(p) && !f.inPayload() {
		f.header(p[n])
		n++
	}
	if !f.inPayload() {
		return n
	}
	payload := min(f.left, uint64(len(p)-n))
	if f.left -= payload; f.left == 0 {
		f.have = 0
		f.closed = f.closed || f.opcode == opClose
	}
	return n + int(payload)
}

// inPayload reports whether the header is complete.
func (f *frameCount) inPayload() bool { return f.have >= 2 && f.have == f.length+f.mask }

// header counts one byte of the header.
func (f *frameCount) header(b byte) {
	switch {
	case f.have == 0:
		f.opcode = b & 0x0f
	case f.have == 1:
		f.second(b)
	case f.have < f.length:
		f.left = f.left<<8 | uint64(b)
	}
	f.have++
	if f.have == f.length && f.left > math.MaxInt64 {
		f.left = math.MaxUint64 // a length that RFC 6455 §5.2 forbids has no end
	}
}

// second counts the byte with the mask bit and the length, or the length of the length.
func (f *frameCount) second(b byte) {
	f.mask = b >> 7 * 4
	switch short := b & 0x7f; short {
	case 126:
		f.length, f.left = 4, 0
	case 127:
		f.length, f.left = 10, 0
	default:
		f.length, f.left = 2, uint64(short)
	}
}
