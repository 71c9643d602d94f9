package ws

import (
	"net"
	"syscall"
)

// maxUnsent is how many written bytes the kernel may keep unsent: those that a slow peer
// leaves there are in no queue of ours.
const maxUnsent = 128 << 10

// tcpNotSentLowat is TCP_NOTSENT_LOWAT of tcp(7), which package syscall lacks.
const tcpNotSentLowat = 25

// boundUnsent bounds the bytes that wait in the kernel, beside those of QueueBytes.
func boundUnsent(conn net.Conn) {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = t.NetConn()
	}
	t, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowat, maxUnsent)
	})
}
