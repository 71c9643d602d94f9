package ws

import (
	"encoding/binary"
	"math"
	"sync/atomic"
)

// frames follows a client's frames as their bytes pass, so that what coder's
// reader would wait for, answer for ever or allocate for is cut first: it judges a
// frame by its header, before the payload is there, and text byte by byte.
type frames struct {
	pingsOwed *atomic.Int32 // pings of ours that no pong has answered yet
	header    [14]byte
	have      uint8 // bytes of header so far
	inMessage bool  // a data message is open (RFC 6455 §5.4)
	sawClose  bool
	left      int64 // payload still to come in this frame
	size      int64 // of the open message, as announced so far
	count     int   // frames of the open message
	text      text
}

// idle reports whether the stream stands between two messages.
func (f *frames) idle() bool { return f.have == 0 && !f.inMessage }

// feed takes the next bytes. It returns how many of them stand before the frame
// that breaks a rule, and the cause. The bytes behind it are followed, too, so
// that the peer's close frame is found.
func (f *frames) feed(p []byte, limits *Limits, control *bucket, now int64) (sound int, cause *CloseError) {
	for i := 0; i < len(p) && !f.sawClose; {
		if f.left > 0 {
			n := int(min(f.left, int64(len(p)-i)))
			f.left -= int64(n)
			if flaw := f.payload(p[i : i+n]); flaw != nil {
				sound, cause = i, flaw
				f.text = text{} // the rest is not checked
			}
			i += n
			f.endFrame()
			continue
		}
		start := max(0, i-int(f.have))
		f.header[f.have] = p[i]
		f.have++
		i++
		if int(f.have) < f.headerLen() {
			continue
		}
		if flaw := f.begun(limits, control, now); flaw != nil && cause == nil {
			sound, cause = start, flaw
			f.text = text{}
		}
		f.endFrame()
	}
	if cause == nil {
		sound = len(p)
	}
	return sound, cause
}

// headerLen is the length of the header, as far as it can be told: the mask of a
// client's frame included (RFC 6455 §5.1), unless it is missing.
func (f *frames) headerLen() int {
	if f.have < 2 {
		return 2
	}
	if f.header[1]&0x80 == 0 {
		return 2
	}
	switch f.header[1] & 0x7f {
	case 126:
		return 8
	case 127:
		if f.have > 2 && f.header[2]&0x80 != 0 {
			return 3 // no length; coder does not wait for the mask either
		}
		return 14
	}
	return 6
}

// begun judges a frame by its whole header (RFC 6455 §5.2, §5.4, §5.5).
func (f *frames) begun(limits *Limits, control *bucket, now int64) *CloseError {
	opcode, fin := f.header[0]&0x0f, f.header[0]&0x80 != 0
	shortest := f.measure()
	switch {
	case f.header[0]&0x70 != 0, f.header[1]&0x80 == 0:
		return ErrProtocol // reserved bits without an extension; a client's frame without a mask
	case opcode >= opClose:
		return f.control(opcode, fin, control, now)
	case !shortest, opcode > opBinary, (opcode == opContinuation) != f.inMessage:
		return ErrProtocol
	}
	f.count++
	f.inMessage = !fin
	if f.left > int64(limits.Message)-f.size || f.count > limits.Frames {
		return ErrTooBig
	}
	f.size += f.left
	f.text.begin(opcode)
	if f.left == 0 && fin && !f.text.whole() {
		return ErrUTF8
	}
	return nil
}

// measure sets left and reports whether the length is one, written the shortest way
// (RFC 6455 §5.2). A frame that cannot be measured has no end.
func (f *frames) measure() (shortest bool) {
	short := f.header[1] & 0x7f
	masked := f.header[1]&0x80 != 0
	switch {
	case short <= 125:
		f.left = int64(short)
		return true
	case masked && short == 126:
		f.left = int64(binary.BigEndian.Uint16(f.header[2:]))
		return f.left > 125
	case masked && f.header[2]&0x80 == 0:
		f.left = int64(binary.BigEndian.Uint64(f.header[2:]))
		return f.left > 0xffff
	}
	f.left = math.MaxInt64
	return false
}

func (f *frames) control(opcode byte, fin bool, bucket *bucket, now int64) *CloseError {
	switch {
	case opcode > opPong, !fin, f.header[1]&0x7f > 125:
		return ErrProtocol
	case opcode == opClose, opcode == opPong && f.answersPing():
		return nil // an answer to our ping is not the peer's rate
	case !bucket.take(now):
		return ErrRate
	}
	return nil
}

// payload judges the next bytes of a frame's payload.
func (f *frames) payload(p []byte) *CloseError {
	if f.header[0]&0x0f >= opClose || !f.text.open {
		return nil
	}
	if !f.text.valid(p, f.header[f.have-4:f.have]) || f.left == 0 && !f.inMessage && !f.text.whole() {
		return ErrUTF8
	}
	return nil
}

// answersPing takes a pong for the answer to a ping of ours, if there is one without.
func (f *frames) answersPing() bool {
	if f.pingsOwed == nil {
		return false
	}
	for {
		n := f.pingsOwed.Load()
		if n == 0 || f.pingsOwed.CompareAndSwap(n, n-1) {
			return n > 0
		}
	}
}

// endFrame is called after every header and every part of a payload, and acts at the end of a frame.
func (f *frames) endFrame() {
	if f.left > 0 || f.have == 0 {
		return
	}
	f.sawClose = f.header[0]&0x0f == opClose
	f.have = 0
	if !f.inMessage {
		f.size, f.count = 0, 0
	}
}
