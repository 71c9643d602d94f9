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
// if all are trusted. Empty entries are skipped (RFC 9110 §5.6.1.2), and so is the "unix:" that
// nginx appends for the peer of a Unix socket, if those are trusted. A longer chain than
// maxHops and an entry that is not an address end the walk at the last address that a trusted
// proxy appended.
func (p *Proxies) walkForwardedFor(lines []string, peer netip.Addr) netip.Addr {
	client, hops := peer, 0
	for _, line := range slices.Backward(lines) {
		for more := true; more; hops++ {
			i := strings.LastIndexByte(line, ',')
			entry := strings.Trim(line[i+1:], " \t")
			if more = i >= 0; more {
				line = line[:i]
			}
			if hops == maxHops {
				return client
			}
			if entry == "" || entry == "unix:" && p.unix {
				continue
			}
			a, ok := parseForwardedFor(entry)
			if !ok {
				return client
			}
			if client = a; !p.trusts(a) {
				return client
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
