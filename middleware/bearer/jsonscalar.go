package bearer

import (
	"strings"
	"unicode/utf16"
)

func (s *scanner) peek() byte {
	if s.at < len(s.in) {
		return s.in[s.at]
	}
	return 0
}

func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) space() {
	for s.at < len(s.in) && strings.IndexByte(" \t\r\n", s.in[s.at]) >= 0 {
		s.at++
	}
}

func (s *scanner) literal(word string) error {
	if len(s.in)-s.at < len(word) || string(s.in[s.at:s.at+len(word)]) != word {
		return errJSON
	}
	s.at += len(word)
	return nil
}

// text passes a string and returns the bytes between the quotes, with the escapes.
func (s *scanner) text() ([]byte, error) {
	if !s.take('"') {
		return nil, errJSON
	}
	start := s.at
	for s.at < len(s.in) {
		switch c := s.in[s.at]; {
		case c == '"':
			s.at++
			return s.in[start : s.at-1], nil
		case c < 0x20:
			return nil, errJSON
		case c == '\\':
			if !s.escape() {
				return nil, errJSON
			}
		default:
			s.at++
		}
	}
	return nil, errJSON
}

// escape passes one escape sequence; surrogates only as a pair (RFC 7493 §2.1), unless
// the scanner is loose.
func (s *scanner) escape() bool {
	s.at++ // the backslash
	c := s.peek()
	s.at++
	if c != 'u' {
		return c != 0 && strings.IndexByte(`"\/bfnrt`, c) >= 0
	}
	high, ok := s.hex()
	if !ok || s.loose || !utf16.IsSurrogate(high) {
		return ok
	}
	if !s.take('\\') || !s.take('u') {
		return false
	}
	low, ok := s.hex()
	return ok && utf16.DecodeRune(high, low) != 0xFFFD
}

func (s *scanner) hex() (rune, bool) {
	if len(s.in)-s.at < 4 {
		return 0, false
	}
	var r rune
	for _, c := range s.in[s.at : s.at+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	s.at += 4
	return r, true
}

func (s *scanner) number() error {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return errJSON
	}
	if s.take('.') && !s.digits() {
		return errJSON
	}
	if s.peek()|0x20 == 'e' {
		s.at++
		if !s.take('+') {
			s.take('-')
		}
		if !s.digits() {
			return errJSON
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.at
	for s.peek() >= '0' && s.peek() <= '9' {
		s.at++
	}
	return s.at > start
}
