package middleware

import (
	"net/http"
	"net/netip"
)

// addressKey is the key of the client's address as p finds it.
func addressKey(r *http.Request, p *Proxies) string {
	if p == nil {
		return keyOfAddress(clientAround(r))
	}
	return keyOfAddress(p.ClientIP(r))
}

// keyOfAddress is IPv4 whole and IPv6 by its /64, as a client that holds one
// address of it holds all. An unknown address is "".
func keyOfAddress(addr netip.Addr) string {
	switch {
	case !addr.IsValid():
		return ""
	case addr.Is4():
		return addr.String()
	}
	network, _ := addr.Prefix(64) // 64 always fits
	return network.String()
}
