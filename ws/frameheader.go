package ws

import "encoding/binary"

// The opcodes of RFC 6455 §5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

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

// frameLen reads the header of a frame that appendHeader wrote.
func frameLen(b []byte) (header, payload int) {
	switch b[1] {
	case 126:
		return 4, int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		return 10, int(binary.BigEndian.Uint64(b[2:]))
	}
	return 2, int(b[1])
}
