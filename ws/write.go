package ws

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware/live"
)

var (
	errMessageType = errors.New("ws: write: the type is neither text nor binary")
	errTextNotUTF8 = errors.New("ws: write: text that is not UTF-8 (RFC 6455 §8.1)")
)

// Write sends a message and returns when the kernel has taken it. A peer that takes nothing
// for Timeouts.Write is cut, with 1013 `slow`; a slow one that makes progress is not. It
// does not wait for what Send has queued. A large message is cut off when the credential is
// revoked or its principal forbidden. p may be used again when it returns.
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

// writeFrame writes one frame, in one write unless it is larger than the memory that the
// pool keeps.
func (c *Conn) writeFrame(opcode byte, p []byte) error {
	b := buffers.Get().(*[]byte)
	defer putBuffer(b)
	*b = appendHeader(*b, opcode, len(p))
	first := min(len(p), maxPooled)
	*b = append(*b, p[:first]...)
	if opcode <= opBinary {
		return c.transmit(*b, p[first:], 1, len(p))
	}
	return c.transmit(*b, p[first:], 0, 0)
}

// transmit writes finished frames, in their turn: those of so many messages with so many
// bytes of payload.
func (c *Conn) transmit(frames, rest []byte, messages, bytes int) error {
	c.writing <- struct{}{}
	err := c.put(frames, rest)
	if err == nil && messages > 0 {
		c.lastMessage.Store(c.h.now())
		c.traffic.sent.Add(int64(messages))
		c.traffic.sentBytes.Add(int64(bytes))
	}
	<-c.writing
	c.sendDue()
	return err
}

// put is called with c.writing held.
func (c *Conn) put(frames, rest []byte) error {
	if cause := c.cause.Load(); cause != nil && (c.closeSent.Load() || !cause.flushes()) {
		return cause // nothing follows a close frame (RFC 6455 §5.5.1), or the loss of the credential
	}
	defer c.writeSince.Store(0)
	begun := false
	for _, p := range [...][]byte{frames, rest} {
		for ; len(p) > 0; begun = true {
			if cause := c.cause.Load(); begun && cause != nil && c.final(cause) {
				c.cut() // the rest is not for this peer, and no close frame can stand within a frame
				return cause
			}
			n := min(len(p), maxWrite)
			c.progress()
			if _, err := c.guard.Conn.Write(p[:n]); err != nil {
				c.endAbnormally(err)
				return c.ended()
			}
			p = p[n:]
		}
	}
	return nil
}

// maxWrite is how much goes into one call: that a call returns is progress, which a slow
// but steady peer makes within Timeouts.Write.
const maxWrite = maxPooled + maxHeader

func (c *Conn) progress() {
	now := c.h.now()
	c.writeSince.Store(now)
	if c.flushSince.Load() != 0 {
		c.flushSince.Store(now)
	}
}

// maxHeader is the longest header of a frame that is not masked.
const maxHeader = 10

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

// controlWrite bounds a frame of the handler's own: a ping or a close frame to a
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
		if !cause.fromPeer() { // the peer's own reason need not be repeated
			payload = append(payload, cause.Reason...)
		}
	}
	if c.writeControl(opClose, payload) && !cause.fromPeer() {
		c.binding.Closed(&live.Cause{Code: uint16(cause.Code), Reason: cause.Reason})
	}
}

// sendDue writes the frame that is due to the peer: a close frame, or a ping. If another
// frame is being written, its writer comes here when it is done.
func (c *Conn) sendDue() {
	for c.pingDue.Load() && c.cause.Load() == nil {
		select {
		case c.writing <- struct{}{}:
		default:
			return
		}
		if c.pingDue.Swap(false) && c.cause.Load() == nil {
			c.pinged.Store(c.h.now()) // before the answer can be there
			c.pingsOwed.Add(1)
			c.writeControl(opPing, nil)
		}
		<-c.writing
	}
	c.sendClose()
}

// writeControl is called with c.writing held.
func (c *Conn) writeControl(opcode byte, payload []byte) (written bool) {
	_ = c.guard.Conn.SetWriteDeadline(time.Now().Add(controlWrite))
	b := buffers.Get().(*[]byte)
	defer putBuffer(b)
	*b = append(appendHeader(*b, opcode, len(payload)), payload...)
	if _, err := c.guard.Conn.Write(*b); err != nil {
		c.end(ErrSlow.Wrap(err))
		c.cut() // part of the frame may be out: nothing can follow
		return false
	}
	_ = c.guard.Conn.SetWriteDeadline(time.Time{})
	return true
}
