package wstest

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"time"
)

// DefaultBuffer is the number of bytes that a direction of a connection holds before its
// writer blocks.
const DefaultBuffer = 64 << 10

// Conn is one end of a connection in memory. It is safe for concurrent use. Errors are
// [*net.OpError], as those of a socket.
type Conn struct {
	in, out       *stream
	local, remote net.Addr
	peer          *Conn
}

// Pipe returns the two ends of a connection that holds up to buffer bytes in each
// direction, [DefaultBuffer] if that is not positive. Ends made inside a synctest bubble
// belong to it.
func Pipe(buffer int) (client, server *Conn) {
	return pipe(buffer, tcpAddr(clientAddr, firstPort), tcpAddr(serverAddr, serverPort))
}

func pipe(buffer int, client, server net.Addr) (c, s *Conn) {
	if buffer <= 0 {
		buffer = DefaultBuffer
	}
	up, down := newStream(buffer), newStream(buffer)
	c = &Conn{in: down, out: up, local: client, remote: server}
	s = &Conn{in: up, out: down, local: server, remote: client, peer: c}
	c.peer = s
	return c, s
}

func tcpAddr(ip netip.Addr, port uint16) net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, port))
}

// Read reads bytes that the peer has written. It waits for the first byte until the read
// deadline ([os.ErrDeadlineExceeded]) or [Conn.Close] ([net.ErrClosed]), and returns
// [io.EOF] once the peer has closed and its bytes are read.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.opError("read", err)
}

// Write copies p into the buffer. If that is full, it waits for space until the write
// deadline ([os.ErrDeadlineExceeded]) or [Conn.Close] ([net.ErrClosed]). Once the peer has
// closed it fails with [syscall.EPIPE].
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.opError("write", err)
}

// Close closes both directions. The peer still reads the bytes in its buffer, then EOF.
// Bytes that this end has not read are dropped (a socket would answer them with a reset).
func (c *Conn) Close() error {
	_ = c.out.endWrite()
	if !c.in.endRead() {
		return c.opError("close", net.ErrClosed)
	}
	return nil
}

// CloseWrite closes the writing direction: the peer reads EOF after the bytes in its
// buffer. Reading continues.
func (c *Conn) CloseWrite() error {
	if !c.out.endWrite() {
		return c.opError("close", net.ErrClosed)
	}
	return nil
}

// Blackhole makes the connection half-open, as when a host loses power or its network: from
// now on neither end receives anything, not even EOF. Bytes are not acknowledged either, so
// a writer continues until its buffer is full and then blocks. It cannot be undone.
func (c *Conn) Blackhole() {
	c.in.lose()
	c.out.lose()
}

// LocalAddr returns a [*net.TCPAddr].
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns a [*net.TCPAddr]: on a server, the RemoteAddr of the request.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines, on the clock of the connection's bubble.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline bounds Reads, including those in progress; zero means no bound.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.opError("set", c.in.setReadDeadline(t))
}

// SetWriteDeadline bounds Writes, including those in progress; zero means no bound.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.opError("set", c.out.setWriteDeadline(t))
}

func (c *Conn) opError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// closed reports whether neither end can be read any more.
func (c *Conn) closed() bool {
	for _, s := range []*stream{c.in, c.out} {
		s.mu.Lock()
		gone := s.gone
		s.mu.Unlock()
		if !gone {
			return false
		}
	}
	return true
}

func (c *Conn) closeBoth() {
	_ = c.Close()
	_ = c.peer.Close()
}
