package ws

import (
	"net"
	"syscall"
)

// maxUnsent is how much of what was written the kernel may keep before it has sent it: what
// a slow peer leaves there is in no queue of ours.
const maxUnsent = 128 << 10

// tcpNotSentLowat is TCP_NOTSENT_LOWAT of tcp(7), which package syscall lacks.
const tcpNotSentLowat = 25

// boundUnsent bounds what waits in the kernel, so that QueueBytes means what it says.
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
