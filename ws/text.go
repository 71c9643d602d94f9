package ws

import (
	"errors"
	"unicode/utf8"
)

var errUTF8 = errors.New("ws: text that is not UTF-8 (RFC 6455 §8.1)")

// text checks the payload of a text message while it arrives, so that a message is refused
// at its first bad byte.
type text struct {
	skip    bool // it is not text
	checked int  // bytes that are whole, valid runes
}

// valid reports whether b, all that has arrived, can still become valid UTF-8; if it is
// whole, whether it is.
func (t *text) valid(b []byte, whole bool) bool {
	if t.skip {
		return true
	}
	end := len(b)
	if !whole {
		end -= incomplete(b[t.checked:])
	}
	if !utf8.Valid(b[t.checked:end]) {
		return false
	}
	t.checked = end
	return true
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
