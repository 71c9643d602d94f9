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
