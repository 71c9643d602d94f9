package live

import "encoding/binary"

// closeFrame returns the close frame of a cause (RFC 6455 §5.5.1). As a frame of the peer it
// is masked, by a key of zeros (RFC 6455 §5.3).
func closeFrame(cause *Cause, masked bool) []byte {
	code, reason := cause.Code, cause.Reason
	if !sendable(code) || len(reason) > 123 {
		code, reason = 1011, ""
	}
	b := make([]byte, 0, 8+len(reason))
	if masked {
		b = append(b, 0x88, 0x80|byte(2+len(reason)), 0, 0, 0, 0)
	} else {
		b = append(b, 0x88, byte(2+len(reason)))
	}
	return append(binary.BigEndian.AppendUint16(b, code), reason...)
}

// sendable reports whether a server may send the code (RFC 6455 §7.4).
func sendable(code uint16) bool {
	return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006 && code != 1010 || code >= 3000 && code <= 4999
}
