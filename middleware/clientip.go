package middleware

import (
	"net/http"
	"net/netip"
)

// ClientIP returns the address of the client: as the innermost [Proxies] around found it,
// else the other end of the connection. An IPv4 address is always returned as IPv4, without
// zone. It is invalid if the connection has none, as on a Unix socket.
func ClientIP(r *http.Request) netip.Addr {
	if x, ok := r.Context().Value(proxiedKey{}).(*proxied); ok {
		return x.client
	}
	return peerAddr(r)
}
