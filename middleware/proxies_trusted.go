package middleware

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// trustUnix is the entry of ProxiesConfig.Trusted for the peers of a Unix socket.
const trustUnix = "unix"

// parseTrusted reads an entry of ProxiesConfig.Trusted other than "unix".
func parseTrusted(entry string) (netip.Prefix, error) {
	if entry == "@" || strings.HasPrefix(strings.ToLower(entry), trustUnix) {
		return netip.Prefix{}, errors.New(`it is not an address: write "unix" for the peers of a Unix socket`)
	}
	if !strings.Contains(entry, "/") {
		a, err := netip.ParseAddr(entry)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, errors.New(`it is not an address: write "192.0.2.1", "192.0.2.0/24" or "2001:db8::/32", or ` +
				`"unix" for the peers of a Unix socket`)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(entry)
	switch {
	case err != nil:
		return prefix, errors.New(`it is not a prefix: write "192.0.2.0/24" or "2001:db8::/32"`)
	case prefix.Addr().Is4In6():
		return prefix, errors.New(`it is an IPv4 prefix in IPv6 notation: write "192.0.2.0/24"`)
	case prefix.Bits() == 0:
		return prefix, errors.New("it trusts every client to name its own address: name the proxies")
	case prefix != prefix.Masked():
		return prefix, fmt.Errorf("it has bits behind the prefix: write %q or %q", prefix.Masked(), prefix.Addr())
	}
	return prefix, nil
}

// peer is the other end of the connection.
type peer struct {
	addr    netip.Addr // invalid if it has none
	kind    peerKind
	trusted bool
}

type peerKind uint8

const (
	peerTCP    peerKind = iota
	peerUnix            // of a Unix socket, which has no address
	peerHidden          // a layer in front has overwritten RemoteAddr
)

// peerOf reads the peer from RemoteAddr, which net/http writes with a port for TCP. One
// without a port was written by another layer, from a header perhaps. A Unix socket is told by
// the listener, because the client's end has no name.
func peerOf(r *http.Request) peer {
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return peer{addr: ap.Addr().Unmap().WithZone("")}
	}
	if a, err := netip.ParseAddr(r.RemoteAddr); err == nil {
		return peer{addr: a.Unmap().WithZone(""), kind: peerHidden}
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && local != nil && local.Network() == "unix" {
		return peer{kind: peerUnix}
	}
	return peer{kind: peerHidden}
}

func (p *Proxies) trusts(a netip.Addr) bool {
	return p != nil && a.IsValid() && slices.ContainsFunc(p.trusted, func(x netip.Prefix) bool { return x.Contains(a) })
}
