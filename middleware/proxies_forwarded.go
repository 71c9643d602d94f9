package middleware

import (
	"net/netip"
	"slices"
	"strings"
)

// maxForwardedLine bounds the parsing of one Forwarded line; a longer one counts
// as unreadable.
const maxForwardedLine = 4096

// walkForwarded returns the client by the Forwarded header (RFC 7239 §4), read from right to left,
// all lines as one list. c is the client without it. The element at which the walk ends was
// written by a trusted proxy, so its proto and host count even if it hides the client's address
// (§6.2, §6.3). Empty elements are skipped (RFC 9110 §5.6.1.2). A line that breaks the grammar is
// ignored as a whole, because the places of its quotes are not known. The client then counts as
// one without TLS: otherwise it could hide, behind a stray quote, the "proto=http" of a proxy that
// uses TLS to this server.
func (p *Proxies) walkForwarded(lines []string, c client) client {
	hops, tls := 0, c.secure
	for _, line := range slices.Backward(lines) {
		elements, ok := parseForwarded(line)
		if !ok {
			return c.unread()
		}
		for _, e := range slices.Backward(elements) {
			if hops++; e.malformed || hops > maxHops {
				return c.unread()
			}
			if e.empty {
				continue
			}
			if c.secure, c.scheme = tls, schemeMissing; e.proto != "" {
				c.scheme = schemeOf(e.proto)
				c.secure = c.scheme == schemeHTTPS
			}
			if e.host != "" {
				c.host = e.host
			}
			a, ok := parseForwardedNode(e.node)
			if !ok {
				return c
			}
			c.addr = a
			if !p.trusts(a) {
				return c
			}
		}
	}
	return c
}

// unread returns the client behind an element that cannot be read.
func (c client) unread() client {
	c.secure, c.scheme = false, schemeUnclear
	return c
}

// forwardedElement has for=, proto= and host= of one element, unquoted.
type forwardedElement struct {
	node, proto, host string
	malformed         bool // a parameter occurs twice (RFC 7239 §4), or there are only semicolons
	empty             bool
}

// parseForwarded reads the grammar of RFC 7239 §4:
//
//	Forwarded         = 1#forwarded-element
//	forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] )
//	forwarded-pair    = token "=" ( token / quoted-string )
func parseForwarded(line string) ([]forwardedElement, bool) {
	if len(line) > maxForwardedLine {
		return nil, false
	}
	var list []forwardedElement
	for rest := line; ; {
		e, after, ok := parseForwardedElement(strings.TrimLeft(rest, " \t"))
		if !ok {
			return nil, false
		}
		list = append(list, e)
		after = strings.TrimLeft(after, " \t")
		if after == "" {
			return list, true
		}
		if after[0] != ',' {
			return nil, false
		}
		rest = after[1:]
	}
}

// parseForwardedElement stops at the first byte that does not belong to the element.
func parseForwardedElement(s string) (e forwardedElement, rest string, ok bool) {
	var seen []string
	e.empty = s == "" || s[0] == ','
	for {
		if name := s[:tokenLen(s)]; name != "" {
			name = strings.ToLower(name)
			s = s[len(name):]
			if s == "" || s[0] != '=' {
				return e, s, false
			}
			var value string
			if value, s, ok = parseForwardedValue(s[1:]); !ok {
				return e, s, false
			}
			e.malformed = e.malformed || slices.Contains(seen, name)
			seen = append(seen, name)
			switch name {
			case "for":
				e.node = value
			case "proto":
				e.proto = value
			case "host":
				e.host = value
			}
		}
		if s == "" || s[0] != ';' {
			e.malformed = e.malformed || len(seen) == 0 && !e.empty
			return e, s, true
		}
		s = s[1:]
	}
}

// parseForwardedValue reads a token or a quoted-string (RFC 9110 §5.6.2, §5.6.4).
func parseForwardedValue(s string) (value, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		n := tokenLen(s)
		return s[:n], s[n:], n > 0
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		c := s[i]
		if c == '"' {
			return b.String(), s[i+1:], true
		}
		if c == '\\' {
			if i++; i == len(s) {
				break
			}
			c = s[i]
		}
		if c < ' ' && c != '\t' || c == 0x7f {
			break
		}
		b.WriteByte(c)
	}
	return "", "", false
}

func tokenLen(s string) int {
	n := strings.IndexFunc(s, func(c rune) bool {
		return c > '~' || c <= ' ' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
	if n < 0 {
		return len(s)
	}
	return n
}

// parseForwardedNode reads RFC 7239 §6: an address, IPv6 in brackets, with or
// without a port. "unknown" and obfuscated names ("_hidden") are not addresses.
func parseForwardedNode(s string) (netip.Addr, bool) {
	name, port := s, ""
	if end := strings.IndexByte(s, ']'); strings.HasPrefix(s, "[") && end > 0 {
		name, port = s[1:end], s[end+1:]
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		name, port = s[:i], s[i:]
	}
	a, err := netip.ParseAddr(name)
	if err != nil || a.Zone() != "" || a.Is6() != strings.HasPrefix(s, "[") || !isNodePort(port) {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// isNodePort is *1( ":" ( 1*5DIGIT / "_" 1*( ALPHA / DIGIT / "." / "_" / "-" ) ) ).
func isNodePort(s string) bool {
	if s == "" {
		return true
	}
	const digits, letters = "0123456789", "abcdefghijklmnopqrstuvwxyz"
	if hidden, ok := strings.CutPrefix(s, ":_"); ok {
		return hidden != "" && strings.Trim(strings.ToLower(hidden), digits+letters+"._-") == ""
	}
	return s[0] == ':' && len(s) >= 2 && len(s) <= 6 && strings.Trim(s[1:], digits) == ""
}
