package middleware

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// endpoint is a host and a port in canonical form, so that == compares them: a
// name in lower-case ASCII, an IPv4 address in four decimal parts, or an IPv6
// address as RFC 5952 writes it, in brackets.
type endpoint struct {
	host string
	port uint16
}

func (e endpoint) String() string { return fmt.Sprintf("%s:%d", e.host, e.port) }

// without returns the host alone if the port is the default one.
func (e endpoint) without(defaultPort uint16) string {
	if e.port == defaultPort {
		return e.host
	}
	return e.String()
}

// parseEndpoint reads host[:port] as it comes over the wire. It accepts every letter
// case of a name and every spelling of an IPv6 address; everything else has one
// spelling (RFC 6454 §4, WHATWG URL §3.5). It does not allocate for a name that is
// already canonical, nor for most of those that it refuses: a client chooses them.
func parseEndpoint(s string, defaultPort uint16) (endpoint, error) {
	host, port, err := splitPort(s, defaultPort)
	if err != nil {
		return endpoint{}, err
	}
	if strings.HasPrefix(host, "[") {
		host, err = canonicalIPv6(host)
	} else {
		host, err = canonicalName(host)
	}
	return endpoint{host, port}, err
}

var (
	errOpenBracket = errors.New("a bracket is not closed")
	errNoBrackets  = errors.New("an IPv6 address stands in brackets: [::1]")
	errPort        = errors.New("the port is not a number from 1 to 65535 without leading zeros")
	errIPv6        = errors.New("the brackets do not hold an IPv6 address")
	errZone        = errors.New("an IPv6 zone has a meaning on one machine only")
	errLongHost    = errors.New("the host is longer than 253 bytes (RFC 1035 §2.3.4)")
	errEmptyLabel  = errors.New("a label of the host is empty")
	errLongLabel   = errors.New("a label of the host is longer than 63 bytes (RFC 1035 §2.3.4)")
	errNumber      = errors.New("a host that ends in a number is an IPv4 address in four decimal parts")
	errPunycode    = errors.New("an xn-- label is not valid (UTS #46 §4)")
)

// strayByte is the error of a byte that no host has. A byte in an interface needs no
// allocation.
type strayByte byte

func (b strayByte) Error() string { return fmt.Sprintf("%q stands in the host", byte(b)) }

// trailingByte is the error of a byte behind the brackets that does not begin a port.
type trailingByte byte

func (b trailingByte) Error() string { return fmt.Sprintf("%q stands behind the brackets", byte(b)) }

// splitPort leaves the brackets of an IPv6 address on the host.
func splitPort(s string, defaultPort uint16) (host string, port uint16, err error) {
	end := strings.IndexByte(s, ':')
	if strings.HasPrefix(s, "[") {
		end = strings.IndexByte(s, ']') + 1
		if end == 0 {
			return "", 0, errOpenBracket
		}
	}
	if end < 0 || end == len(s) {
		return s, defaultPort, nil
	}
	if s[end] != ':' {
		return "", 0, trailingByte(s[end])
	}
	if strings.Count(s[end:], ":") > 1 {
		return "", 0, errNoBrackets
	}
	port, err = parsePort(s[end+1:])
	return s[:end], port, err
}

func parsePort(s string) (uint16, error) {
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || len(s) > 5 {
			return 0, errPort
		}
		n = 10*n + int(c-'0')
	}
	if n < 1 || n > 65535 || s[0] == '0' {
		return 0, errPort
	}
	return uint16(n), nil
}

func canonicalIPv6(bracketed string) (string, error) {
	a, err := netip.ParseAddr(strings.TrimSuffix(bracketed[1:], "]"))
	switch {
	case err != nil || !a.Is6():
		return "", errIPv6
	case a.Zone() != "":
		return "", errZone
	}
	return "[" + a.String() + "]", nil
}

// canonicalName accepts letters, digits, '-', '_' and '.': less than WHATWG URL
// §3.5, which leaves '{', '!' and others to names that no registry delegates.
func canonicalName(s string) (string, error) {
	if len(s) > 253 {
		return "", errLongHost
	}
	start := 0
	for i := 0; i <= len(s); i++ {
		switch {
		case i == len(s) || s[i] == '.':
			if i == start {
				return "", errEmptyLabel
			}
			if i-start > 63 {
				return "", errLongLabel
			}
			start = i + 1
		case !isNameByte(s[i]):
			return "", strayByte(s[i])
		}
	}
	s = strings.ToLower(s)
	if endsInNumber(s) {
		// WHATWG URL §3.5: such a host is an IPv4 address or invalid. Of its
		// spellings (127.1, 0x7f.1, 0177.0.0.1) browsers send one.
		if a, err := netip.ParseAddr(s); err != nil || !a.Is4() {
			return "", errNumber
		}
	}
	if strings.Contains(s, "xn--") {
		if a, err := domainToASCII.ToASCII(s); err != nil || a != s {
			return "", errPunycode
		}
	}
	return s, nil
}

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// endsInNumber is WHATWG URL §3.5, "ends in a number checker".
func endsInNumber(lower string) bool {
	last := lower[strings.LastIndexByte(lower, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

// domainToASCII is WHATWG URL §3.3, "domain to ASCII", not strict: what browsers do.
var domainToASCII = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false), idna.CheckHyphens(false))
