package ws

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

var (
	errMessageType = errors.New("ws: write: the type is neither text nor binary")
	errTextNotUTF8 = errors.New("ws: write: text that is not UTF-8 (RFC 6455 §8.1)")
)

// Write sends a message and returns when the kernel has taken it, at the latest
// after Timeouts.Write, when the connection is cut. It does not wait for what Send
// has queued. p may be used again when it returns.
func (c *Conn) Write(typ websocket.MessageType, p []byte) error {
	if err := checkMessage(typ, p); err != nil {
		return err
	}
	if err := c.ended(); err != nil {
		return err
	}
	return c.writeFrame(byte(typ), p)
}

// WriteJSON writes v as a text message.
func (c *Conn) WriteJSON(v any) error {
	p, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("ws: json: %w", err)
	}
	return c.Write(websocket.MessageText, p)
}

func checkMessage(typ websocket.MessageType, p []byte) error {
	switch typ {
	case websocket.MessageBinary:
		return nil
	case websocket.MessageText:
		if utf8.Valid(p) {
			return nil
		}
		return errTextNotUTF8
	}
	return errMessageType
}

// writeFrame writes one frame, in its turn.
func (c *Conn) writeFrame(opcode byte, p []byte) error {
	c.writing <- struct{}{}
	err := c.writeNow(opcode, p)
	<-c.writing
	if c.cause.Load() != nil {
		c.sendClose() // somebody could not, while we wrote
	}
	return err
}

// writeNow is called with c.writing held. A frame goes out in one write, unless it
// is larger than what the pool keeps.
func (c *Conn) writeNow(opcode byte, p []byte) error {
	if c.closeSent.Load() {
		return c.ended() // nothing follows a close frame (RFC 6455 §5.5.1)
	}
	b := buffers.Get().(*[]byte)
	defer putBuffer(b)
	whole := appendHeader(*b, opcode, len(p))
	first := min(len(p), maxPooled-len(whole))
	whole = append(whole, p[:first]...)
	*b = whole
	for rest := p[first:]; ; {
		c.writeSince.Store(max(1, c.h.now()))
		_, err := c.net.Write(whole)
		c.writeSince.Store(0)
		if err != nil {
			c.lost(err)
			return c.ended()
		}
		if len(rest) == 0 {
			break
		}
		n := min(len(rest), maxPooled)
		whole, rest = rest[:n], rest[n:]
	}
	if opcode <= opBinary {
		c.lastMessage.Store(c.h.now())
		c.sent.Add(1)
	}
	return nil
}

// appendHeader writes a server's frame header: final, unmasked (RFC 6455 §5.2).
func appendHeader(b []byte, opcode byte, n int) []byte {
	b = append(b, 0x80|opcode)
	switch {
	case n <= 125:
		return append(b, byte(n))
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
}

// controlWrite bounds a frame that nobody asked for: a ping or a close frame to a
// peer whose window is full must not hold up those of the others.
const controlWrite = time.Second

// sendClose writes the close frame, once, when nothing else is being written: where
// something is, its writer sends the frame when it is done. Then it wakes the
// reader: the frame first, then reads fail.
func (c *Conn) sendClose() {
	for c.cause.Load() != nil && !c.closeSent.Load() && !c.queue.busy() {
		select {
		case c.writing <- struct{}{}:
		default:
			return
		}
		c.writeClose()
		<-c.writing
	}
	if c.closeSent.Load() {
		c.interrupt()
	}
}

func (c *Conn) writeClose() {
	cause := c.cause.Load()
	if c.closeSent.Swap(true) || cause.Code == websocket.StatusAbnormalClosure {
		return
	}
	var payload []byte
	if cause.Code != websocket.StatusNoStatusRcvd {
		payload = binary.BigEndian.AppendUint16(payload, uint16(cause.Code))
		if cause.Err != errPeer && cause.Err != io.EOF { // what the peer said need not be said back
			payload = append(payload, cause.Reason...)
		}
	}
	c.writeControl(opClose, payload)
}

// ping asks a silent peer for a sign of life, unless something is being written:
// then the write's own deadline finds out.
func (c *Conn) ping() {
	select {
	case c.writing <- struct{}{}:
	default:
		return
	}
	if c.cause.Load() == nil {
		c.writeControl(opPing, nil)
	}
	<-c.writing
	if c.cause.Load() != nil {
		c.sendClose()
	}
}

// writeControl is called with c.writing held.
func (c *Conn) writeControl(opcode byte, payload []byte) {
	_ = c.net.SetWriteDeadline(time.Now().Add(controlWrite))
	b := buffers.Get().(*[]byte)
	defer putBuffer(b)
	*b = append(appendHeader(*b, opcode, len(payload)), payload...)
	if _, err := c.net.Write(*b); err != nil {
		c.end(ErrSlow.because(err))
		c.cut() // part of the frame may be out: nothing can follow
		return
	}
	_ = c.net.SetWriteDeadline(time.Time{})
}
