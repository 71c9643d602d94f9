package middleware

import (
	"net/netip"
	"slices"
	"strings"
)

// maxHops bounds how many entries a walk looks at; real chains have two or three.
const maxHops = 32

// walkForwardedFor returns the client: the rightmost address of X-Forwarded-For
// that is not trusted, all lines taken as one list (RFC 9110 §5.3); the leftmost
// if all are trusted. A longer chain than maxHops, an empty entry or one that is not an
// address ends the walk at the last address that a trusted proxy appended.
func (p *Proxies) walkForwardedFor(lines []string, peer netip.Addr) netip.Addr {
	client, hops := peer, 0
	for _, line := range slices.Backward(lines) {
		for more := true; more; hops++ {
			i := strings.LastIndexByte(line, ',')
			a, ok := parseForwardedFor(strings.Trim(line[i+1:], " \t"))
			if !ok || hops == maxHops {
				return client
			}
			client = a
			if !p.trusts(a) {
				return client
			}
			if more = i >= 0; more {
				line = line[:i]
			}
		}
	}
	return client
}

// parseForwardedFor accepts the forms that proxies write: an address, an address with a port,
// IPv6 with or without brackets. Zones have a meaning on the proxy only.
func parseForwardedFor(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") {
		a, err := netip.ParseAddr(inner[:len(inner)-1])
		return a.Unmap().WithZone(""), err == nil && a.Is6()
	}
	return netip.Addr{}, false
}

// allSecure demands all of several values: which of them is the client's is not known.
func allSecure(lines []string) bool {
	for _, line := range lines {
		for value := range strings.SplitSeq(line, ",") {
			if !isSecureScheme(strings.Trim(value, " \t")) {
				return false
			}
		}
	}
	return len(lines) > 0
}

func isSecureScheme(s string) bool {
	return strings.EqualFold(s, "https") || strings.EqualFold(s, "wss")
}
