package ws

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// text checks the payload of text messages while it passes, still masked: a message ends the
// connection at the first byte with which it cannot be UTF-8 any more (RFC 6455 §8.1).
// coder's reader would wait for the rest of the frame, or for a buffer full of it.
type text struct {
	checked bool // messages of this connection are
	open    bool // the open message is text
	masked  uint8
	n       uint8
	tail    [utf8.UTFMax - 1]byte // the first n bytes of a rune whose last are still to come
}

// begin says that a data frame of the opcode begins.
func (t *text) begin(opcode byte) {
	t.masked = 0
	if opcode != opContinuation {
		t.open, t.n = t.checked && opcode == opText, 0
	}
}

// whole reports whether the message is valid if it ends here.
func (t *text) whole() bool { return !t.open || t.n == 0 }

// valid reports whether the message can still become valid with p, payload of the frame
// that began last.
func (t *text) valid(p, mask []byte) bool {
	var plain [256]byte
	key := binary.LittleEndian.Uint32(mask)
	for len(p) > 0 {
		begun := copy(plain[:], t.tail[:t.n])
		n := unmask(plain[begun:], p, bits.RotateLeft32(key, -8*int(t.masked)))
		t.masked = (t.masked + uint8(n%4)) % 4
		p = p[n:]
		b := plain[:begun+n]
		end := len(b) - incomplete(b)
		if !utf8.Valid(b[:end]) {
			return false
		}
		t.n = uint8(copy(t.tail[:], b[end:]))
	}
	return true
}

// unmask undoes the mask of src in dst (RFC 6455 §5.3) and returns how many bytes fit.
func unmask(dst, src []byte, key uint32) int {
	n := min(len(dst), len(src))
	dst, src = dst[:n], src[:n]
	wide := uint64(key)<<32 | uint64(key)
	for len(src) >= 8 {
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src)^wide)
		dst, src = dst[8:], src[8:]
	}
	for i := range src {
		dst[i] = src[i] ^ byte(key>>(8*(i%4)))
	}
	return n
}

// incomplete returns the length of the rune at the end of b whose last bytes are still to
// come.
func incomplete(b []byte) int {
	for n := 1; n <= min(utf8.UTFMax-1, len(b)); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
