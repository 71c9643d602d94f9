package ws

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// begins reports whether some text begins with p: one of these ends completes its last rune.
func begins(p []byte) bool {
	for _, first := range []string{"", "\x80", "\x90", "\xa0"} {
		for n := range 3 {
			if utf8.ValidString(string(p) + first + strings.Repeat("\x80", n)) {
				return true
			}
		}
	}
	return false
}

// FuzzText: however a text is fragmented and cut into reads, it ends the connection with the
// byte after which no text can be valid, and not before (RFC 6455 §8.1).
func FuzzText(f *testing.F) {
	f.Add([]byte("\u03ba\u1f79\u03c3\u03bc\u03b5\xf4\x90\x80\x80edited"), uint64(1)) // Autobahn 6.4.1
	f.Add([]byte("hi \u2764\xe2\x9d"), uint64(2))
	f.Add([]byte(strings.Repeat("\U0001f600", 200)), uint64(3))
	f.Add([]byte("\xed\xa0\x80"), uint64(4))
	f.Add([]byte(""), uint64(5))
	f.Fuzz(func(t *testing.T, p []byte, seed uint64) {
		if len(p) > 1<<10 {
			return // begins is slow
		}
		random := rand.New(rand.NewPCG(seed, 2))
		bad := len(p) // how many bytes may pass
		for n := 1; n <= len(p) && bad == len(p); n++ {
			if !begins(p[:n]) {
				bad = n - 1
			}
		}
		limits := Limits{Message: 1 << 20, Frames: 1 << 20}
		control := newBucket(1, 1)
		fr := frames{text: text{checked: true}}
		opcode, sent := byte(opText), 0
		for whole := false; !whole; opcode = opContinuation {
			n := random.IntN(len(p) - sent + 1)
			whole = n == len(p)-sent
			frame := appendMasked(opcode, whole, p[sent:sent+n], random.Uint32())
			for len(frame) > 0 {
				k := 1 + random.IntN(len(frame))
				_, cause := fr.feed(frame[:k], &limits, &control, 1)
				frame = frame[k:]
				passed := sent + n - min(n, len(frame))
				switch wrong := passed > bad || len(frame) == 0 && whole && !utf8.Valid(p); {
				case cause != nil && (cause != ErrUTF8 || !wrong):
					t.Fatalf("%q: %v after %d bytes", p, cause, passed)
				case cause == nil && wrong:
					t.Fatalf("%q: nothing is wrong after %d bytes", p, passed)
				case cause != nil:
					return
				}
			}
			sent += n
		}
	})
}

func appendMasked(opcode byte, fin bool, p []byte, mask uint32) []byte {
	b := sent(opcode, len(p))
	if fin {
		b[0] |= 0x80
	}
	payload := b[len(b)-len(p):]
	key := [4]byte{byte(mask), byte(mask >> 8), byte(mask >> 16), byte(mask >> 24)}
	copy(b[len(b)-len(p)-4:], key[:])
	for i := range payload {
		payload[i] = p[i] ^ key[i%4]
	}
	return b
}
