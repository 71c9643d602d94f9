// Package loopback tells hosts of this machine from others.
package loopback

import (
	"net/netip"
	"strings"
)

// Is reports whether a host, without port and brackets, is localhost or an address of 127.0.0.0/8
// or ::1. Names below localhost are not: a resolver may answer with another machine.
func Is(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}
