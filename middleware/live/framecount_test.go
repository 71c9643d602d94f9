package live

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"
	"unicode/utf8"
)

// frame is a whole frame as a strict peer reads it. The parser is written from RFC 6455
// §5.2 and shares no code with frameCount.
type frame struct {
	opcode  byte
	fin     bool
	payload []byte
}

var errMalformed = errors.New("malformed")

// parseFrame reads one frame byte-exactly. io.EOF means that none has begun.
func parseFrame(r io.Reader, masked bool) (f frame, err error) {
	var h [2]byte
	if _, err := io.ReadFull(r, h[:1]); err != nil {
		return f, err
	}
	if _, err := io.ReadFull(r, h[1:]); err != nil {
		return f, io.ErrUnexpectedEOF
	}
	f.fin, f.opcode = h[0]>>7 == 1, h[0]&15
	n, err := parseLength(r, h[1]&127)
	switch control := f.opcode > 7; {
	case err != nil:
		return f, err
	case h[0]&0x70 != 0, f.opcode > 10, f.opcode > 2 && f.opcode < 8, h[1]>>7 == 1 != masked, control && (!f.fin || n > 125), n > 1<<20:
		return f, fmt.Errorf("%w: header % x", errMalformed, h)
	}
	var mask [4]byte
	if masked {
		if _, err := io.ReadFull(r, mask[:]); err != nil {
			return f, io.ErrUnexpectedEOF
		}
	}
	f.payload = make([]byte, n)
	if _, err := io.ReadFull(r, f.payload); err != nil {
		return f, io.ErrUnexpectedEOF
	}
	for i := range f.payload {
		f.payload[i] ^= mask[i%4]
	}
	return f, nil
}

func parseLength(r io.Reader, short byte) (uint64, error) {
	var b [8]byte
	switch short {
	case 126:
		if _, err := io.ReadFull(r, b[6:]); err != nil {
			return 0, io.ErrUnexpectedEOF
		}
		if n := binary.BigEndian.Uint64(b[:]); n > 125 {
			return n, nil
		}
		return 0, fmt.Errorf("%w: a length that is not minimal", errMalformed)
	case 127:
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return 0, io.ErrUnexpectedEOF
		}
		if n := binary.BigEndian.Uint64(b[:]); n > 0xffff {
			return n, nil
		}
		return 0, fmt.Errorf("%w: a length that is not minimal", errMalformed)
	}
	return uint64(short), nil
}

// closing returns code and reason of a close frame (RFC 6455 §5.5.1).
func (f frame) closing() (code uint16, reason string, err error) {
	if f.opcode != 8 || len(f.payload) < 2 || !utf8.Valid(f.payload[2:]) {
		return 0, "", fmt.Errorf("%w: no close frame: %x % x", errMalformed, f.opcode, f.payload)
	}
	return binary.BigEndian.Uint16(f.payload), string(f.payload[2:]), nil
}

// readEnding reads frames until a close frame, and wants that nothing follows it.
func readEnding(r io.Reader) (frames int, code uint16, reason string, err error) {
	open := false
	for {
		f, err := parseFrame(r, false)
		switch {
		case err != nil:
			return frames, 0, "", err
		case f.opcode == 0 && !open, (f.opcode == 1 || f.opcode == 2) && open:
			return frames, 0, "", fmt.Errorf("%w: fragments out of order", errMalformed)
		case f.opcode == 8:
			if code, reason, err = f.closing(); err != nil {
				return frames, 0, "", err
			}
			if a, ok := r.(answerer); ok {
				go a.answerClose()
			}
			if n, _ := r.Read(make([]byte, 1)); n > 0 {
				return frames, 0, "", fmt.Errorf("%w: bytes after the close frame", errMalformed)
			}
			return frames, code, reason, nil
		case f.opcode < 8:
			open = !f.fin
		}
		frames++
	}
}

// buildFrame writes a frame with the shortest length (RFC 6455 §5.2).
func buildFrame(first byte, payload []byte, mask bool) []byte {
	b := []byte{first}
	m := byte(0)
	if mask {
		m = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b = append(b, m|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, m|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, m|127), uint64(n))
	}
	if mask {
		b = append(b, 0, 0, 0, 0)
	}
	return append(b, payload...)
}

func TestFrameCountFindsEveryBoundary(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 125, 126, 127, 1000, 65535, 65536, 70000} {
		for _, mask := range []bool{false, true} {
			b := buildFrame(0x82, make([]byte, size), mask)
			var f frameCount
			for i := range b {
				if i > 0 && f.boundary() {
					t.Fatalf("size %d, mask %v: a boundary after %d of %d bytes", size, mask, i, len(b))
				}
				if rest := f.rest(b[i:]); i > 0 && rest != len(b)-i {
					t.Fatalf("size %d, mask %v: rest %d after %d of %d bytes", size, mask, rest, i, len(b))
				}
				f.pass(b[i : i+1])
			}
			if !f.boundary() || f.closed {
				t.Errorf("size %d, mask %v: %+v after the frame", size, mask, f)
			}
		}
	}
}

func TestFrameCountSeesACloseFrame(t *testing.T) {
	t.Parallel()
	var f frameCount
	f.pass(buildFrame(0x81, []byte("a"), false))
	b := buildFrame(0x88, []byte{3, 232}, false)
	f.pass(b[:3])
	if f.closed {
		t.Error("closed before the frame is complete")
	}
	f.pass(b[3:])
	if !f.closed {
		t.Error("not closed")
	}
}

// RFC 6455 §5.2: the most significant bit of a 64-bit length is 0.
func TestFrameCountHasNoBoundaryAfterAForbiddenLength(t *testing.T) {
	t.Parallel()
	var f frameCount
	f.pass(append([]byte{0x82, 127, 0xff}, make([]byte, 100)...))
	if f.boundary() {
		t.Error("a boundary")
	}
}

// On well-formed frames the count agrees with a strict parser, and on arbitrary bytes the
// way they are split does not change it.
func FuzzFrameCount(f *testing.F) {
	f.Add(buildFrame(0x81, make([]byte, 300), false), []byte{1, 2, 3}, false)
	f.Add(append(buildFrame(0x02, make([]byte, 70000), true), buildFrame(0x88, []byte{3, 232}, true)...), []byte{200, 1}, true)
	f.Add([]byte{0x82, 127, 0xff, 0, 0}, []byte{1}, false)
	f.Fuzz(func(t *testing.T, stream, splits []byte, masked bool) {
		var whole, parts frameCount
		whole.pass(stream)
		for at, i := 0, 0; at < len(stream); i++ {
			n := len(stream) - at
			if len(splits) > 0 {
				n = min(n, 1+int(splits[i%len(splits)]))
			}
			if rest := parts.rest(stream[at : at+n]); rest > n || rest > 0 == parts.boundary() {
				t.Fatalf("rest %d of %d at %d", rest, n, at)
			}
			parts.pass(stream[at : at+n])
			at += n
		}
		if whole != parts {
			t.Fatalf("%+v in one piece, %+v in parts", whole, parts)
		}
		compareWithParser(t, stream, masked)
	})
}

func compareWithParser(t *testing.T, stream []byte, masked bool) {
	r := bytes.NewReader(stream)
	var f frameCount
	for at := 0; ; {
		parsed, err := parseFrame(r, masked)
		if err != nil {
			return
		}
		end := len(stream) - r.Len()
		f.pass(stream[at : end-1])
		if f.boundary() && end-at > 1 {
			t.Fatalf("a boundary before byte %d", end)
		}
		closed := f.closed
		f.pass(stream[end-1 : end])
		if !f.boundary() || f.closed != (closed || parsed.opcode == 8) {
			t.Fatalf("%+v after a frame that ends at %d", f, end)
		}
		at = end
	}
}
