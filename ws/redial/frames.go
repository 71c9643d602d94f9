package redial

import (
	"encoding/binary"
	"errors"
)

// errMasked reports a frame that only a client may send.
var errMasked = errors.New("redial: a server's frame is masked (RFC 6455 §5.1)")

// frames parses a server's frame headers as the bytes pass. A client must close the
// connection if a frame is masked; coder does not check this and would deliver the masked
// payload.
type frames struct {
	header [10]byte
	have   int    // bytes of header so far
	left   uint64 // bytes of payload that remain in this frame
	code   []byte // the first two bytes of the payload of a close frame; nil: none has begun
}

// closedWith returns the code of the server's close frame, 0 if there is none.
func (f *frames) closedWith() uint16 {
	if len(f.code) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(f.code)
}

// feed parses the next bytes and returns how many of them precede the header of a masked
// frame: all of them if no frame is masked.
func (f *frames) feed(p []byte) (sound int) {
	for i := 0; i < len(p); {
		if f.left > 0 {
			n := min(f.left, uint64(len(p)-i))
			if f.code != nil && len(f.code) < 2 {
				f.code = append(f.code, p[i:i+min(int(n), 2-len(f.code))]...)
			}
			f.left -= n
			i += int(n)
			continue
		}
		f.header[f.have] = p[i]
		f.have++
		i++
		if f.have == 2 && f.header[1]&0x80 != 0 {
			return max(0, i-2)
		}
		f.measure()
	}
	return len(p)
}

// measure reads the payload length once the header is complete (RFC 6455 §5.2).
func (f *frames) measure() {
	switch short := f.header[1]; {
	case f.have < 2:
		return
	case short < 126:
		f.left = uint64(short)
	case short == 126 && f.have == 4:
		f.left = uint64(binary.BigEndian.Uint16(f.header[2:]))
	case short == 127 && f.have == 10:
		f.left = binary.BigEndian.Uint64(f.header[2:])
	default:
		return
	}
	if f.header[0]&0x0f == 8 && f.code == nil { // RFC 6455 §5.5.1
		f.code = make([]byte, 0, 2)
	}
	f.have = 0
}
