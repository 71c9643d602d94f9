package middleware

import (
	"errors"
	"fmt"
	"strings"
)

// maxOrigin is more than the longest possible origin: "https://", 253 bytes of host,
// ":65535".
const maxOrigin = 300

// origin is the tuple of RFC 6454 §4, in canonical form, so that == is §5's
// comparison. A scheme whose default port is unknown to us has port 0 for it.
type origin struct {
	scheme string
	endpoint
}

// String is the ASCII serialisation of RFC 6454 §6.2.
func (o origin) String() string {
	return o.scheme + "://" + o.without(defaultPort(o.scheme))
}

// clone shares no memory with the header that o was read from.
func (o origin) clone() origin {
	o.scheme, o.host = strings.Clone(o.scheme), strings.Clone(o.host)
	return o
}

func defaultPort(scheme string) uint16 {
	switch scheme {
	case "https":
		return 443
	case "http":
		return 80
	}
	return 0
}

var (
	errLongOrigin = fmt.Errorf("it is longer than %d bytes", maxOrigin)
	errNoScheme   = errors.New("it does not begin with a scheme and ://")
)

// parseOrigin reads the value of an Origin header other than "null".
func parseOrigin(s string) (origin, error) {
	if len(s) > maxOrigin {
		return origin{}, errLongOrigin
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || !isScheme(scheme) {
		return origin{}, errNoScheme
	}
	scheme = strings.ToLower(scheme)
	e, err := parseEndpoint(rest, defaultPort(scheme))
	return origin{scheme, e}, err
}

// isScheme is RFC 3986 §3.1.
func isScheme(s string) bool {
	for i, c := range []byte(s) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return s != ""
}
