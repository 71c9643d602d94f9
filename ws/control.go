package ws

import "encoding/binary"

// awaitMessage returns when the first bytes of the next message are there, and answers the
// pings before it. The wait is here and not in coder's reader, which is deep in the stack:
// on TLS every idle connection would keep a stack of 8 KiB for 4. An error comes again from
// coder's reader, and so does a close frame.
func (c *Conn) awaitMessage() {
	for {
		head, err := c.buffered.Peek(2)
		if err != nil {
			return
		}
		// The guard has let through whole headers of masked frames only, and no control
		// frame but a final one of at most 125 bytes.
		opcode := head[0] & 0x0f
		if opcode != opPing && opcode != opPong {
			return
		}
		n := int(head[1] & 0x7f)
		frame, err := c.buffered.Peek(6 + n)
		if err != nil {
			return
		}
		if opcode == opPing {
			c.pong(frame)
		}
		_, _ = c.buffered.Discard(6 + n)
	}
}

// pong answers a ping frame (RFC 6455 §5.5.3).
func (c *Conn) pong(ping []byte) {
	var plain [125]byte
	n := unmask(plain[:], ping[6:], binary.LittleEndian.Uint32(ping[2:6]))
	_ = c.writeFrame(opPong, plain[:n])
}
