//go:build !linux

package ws

import "net"

// boundUnsent does nothing: the kernel's own bound counts.
func boundUnsent(net.Conn) {}
