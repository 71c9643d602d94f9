package live

import (
	"bytes"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/securews/securews/internal/opening"
)

// head is the head of a response that a library writes to a hijacked connection by itself.
// It is kept until it is whole, and then goes out with the header of the layers in front,
// which the library does not know.
type head struct {
	outer http.Header
	bytes []byte
}

// maxHead bounds the bytes that are kept.
const maxHead = 64 << 10

// writeHead takes bytes of the head, and passes them when the head is whole or turns
// out not to be one. writing is held.
func (c *conn) writeHead(p []byte) (int, error) {
	h := c.head
	h.bytes = append(h.bytes, p...)
	end := bytes.Index(h.bytes, []byte("\r\n\r\n"))
	switch {
	case end >= 0:
	case len(h.bytes) > maxHead, bytes.Contains(h.bytes, []byte("\n\n")),
		!bytes.HasPrefix(h.bytes, []byte("HTTP/1.1 101")[:min(12, len(h.bytes))]):
		end = -1
	default:
		return len(p), nil
	}
	c.head = nil
	if end < 0 || !bytes.HasPrefix(h.bytes, []byte("HTTP/1.1 101 ")) || !toWebSocket(fieldOf(h.bytes[:end], "Upgrade")) {
		c.carries.Store(otherContent)
		if end := c.closing.Load(); end != nil {
			return 0, end.cause
		}
		return c.passAll(h.bytes, p)
	}
	c.carries.Store(frames)
	if c.closing.Load() != nil { // frames behind the head are not for the peer any more
		h.bytes = h.bytes[:end+4]
	}
	end += 2
	whole := append(h.withOuter(h.bytes[:end]), "\r\n"...)
	if n, err := c.Conn.Write(append(whole, h.bytes[end+2:]...)); err != nil {
		c.broken = true
		return min(n, len(p)), err
	}
	c.sent.pass(h.bytes[end+2:])
	return len(p), nil
}

// toWebSocket reports whether the Upgrade of a 101 that answers a handshake names that
// protocol. One without the field that RFC 9110 §7.8 requires can mean no other.
func toWebSocket(upgrade []string) bool {
	return len(upgrade) == 0 || opening.NamesWebSocket(upgrade)
}

// fieldOf returns the values of a field.
func fieldOf(lines []byte, name string) (values []string) {
	for line := range bytes.SplitSeq(lines, []byte("\r\n")) {
		if n, value, ok := bytes.Cut(line, []byte(":")); ok && strings.EqualFold(string(n), name) {
			values = append(values, string(value))
		}
	}
	return values
}

func (c *conn) passAll(b, p []byte) (int, error) {
	if n, err := c.pass(b); err != nil {
		return min(n, len(p)), err
	}
	return len(p), nil
}

// withOuter adds the fields of the layers in front that the head does not have.
func (h *head) withOuter(lines []byte) []byte {
	var present []string
	for line := range bytes.SplitSeq(lines, []byte("\r\n")) {
		if name, _, ok := bytes.Cut(line, []byte(":")); ok {
			present = append(present, textproto.CanonicalMIMEHeaderKey(string(name)))
		}
	}
	outer := http.Header{}
	for name, values := range h.outer {
		if !slices.Contains(present, http.CanonicalHeaderKey(name)) && !ofHandshake(name) {
			outer[name] = values
		}
	}
	b := bytes.NewBuffer(slices.Clone(lines))
	_ = outer.Write(b) // to memory; it replaces line breaks in values
	return b.Bytes()
}

// ofHandshake reports whether a field is the library's alone, or describes a body, of which
// a 101 has none.
func ofHandshake(name string) bool {
	switch name = http.CanonicalHeaderKey(name); name {
	case "Connection", "Upgrade", "Content-Length", "Content-Type", "Transfer-Encoding", "Trailer":
		return true
	}
	return strings.HasPrefix(name, "Sec-Websocket-")
}
