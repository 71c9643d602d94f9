package middleware

import (
	"net/http"
	"net/netip"
	"strings"
)

// ClientIP returns the address of the client: as the innermost [Proxies] around found it,
// else the other end of the connection. An IPv4 address is always returned as IPv4, without
// zone. It is invalid if the connection has none, as on a Unix socket.
func ClientIP(r *http.Request) netip.Addr {
	if x, ok := r.Context().Value(proxiedKey{}).(*proxied); ok {
		return x.addr
	}
	return peerOf(r).addr
}

// clientAddress is ClientIP for the log, which has "@" for a Unix socket.
func clientAddress(r *http.Request) string {
	a := ClientIP(r)
	if !a.IsValid() {
		return r.RemoteAddr
	}
	if i := strings.LastIndexByte(r.RemoteAddr, ':'); i > 0 && a.Is4() {
		if peer, err := netip.ParseAddr(r.RemoteAddr[:i]); err == nil && peer == a {
			return r.RemoteAddr[:i] // IPv4 has one spelling
		}
	}
	return a.String()
}
