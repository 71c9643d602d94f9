package middleware

import (
	"net/http"
	"net/netip"
)

// addressKey is the key of the client's address as p finds it.
func addressKey(r *http.Request, p *Proxies) string {
	if p == nil {
		return keyOfAddress(ClientIP(r))
	}
	return keyOfAddress(p.ClientIP(r))
}

// keyOfAddress is IPv4 whole and IPv6 by its /64, because a client with one
// address of it has all. An unknown address is "".
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

// appendAddress appends the bytes of the same key, whose length tells the kinds apart.
func appendAddress(b []byte, addr netip.Addr) []byte {
	switch {
	case !addr.IsValid():
		return b
	case addr.Is4():
		a := addr.As4()
		return append(b, a[:]...)
	}
	a := addr.As16()
	return append(b, a[:8]...)
}
