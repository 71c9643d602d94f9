package wstest

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"time"
)

// DefaultBuffer is what a direction of a connection holds before its writer blocks.
const DefaultBuffer = 64 << 10

// Conn is one end of a connection in memory. Its methods may be called by several
// goroutines at once; errors are [*net.OpError], as from a socket.
type Conn struct {
	in, out       *stream
	local, remote net.Addr
	peer          *Conn
}

// Pipe returns the two ends of a connection that holds up to buffer bytes a direction,
// [DefaultBuffer] if that is not positive. Ends made inside a synctest bubble belong
// to it.
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

// Read returns what the peer has written. It waits for the first byte until the read
// deadline ([os.ErrDeadlineExceeded]) or [Conn.Close] ([net.ErrClosed]), and returns
// [io.EOF] once the peer has closed and its bytes are read.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.opError("read", err)
}

// Write puts p into the buffer and waits for room where it is full, until the write
// deadline ([os.ErrDeadlineExceeded]) or [Conn.Close] ([net.ErrClosed]). Once the peer
// has closed it fails with [syscall.EPIPE].
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.opError("write", err)
}

// Close ends both directions. The peer still reads what is in its buffer, then EOF;
// what this end has not read is dropped (a socket would answer it with a reset).
func (c *Conn) Close() error {
	_ = c.out.endWrite()
	if !c.in.endRead() {
		return c.opError("close", net.ErrClosed)
	}
	return nil
}

// CloseWrite gives the peer EOF after the bytes in its buffer; reading goes on.
func (c *Conn) CloseWrite() error {
	if !c.out.endWrite() {
		return c.opError("close", net.ErrClosed)
	}
	return nil
}

// Blackhole makes the connection half-open, as when a host loses its power or its
// network: from now on neither end receives anything, the end of the other included.
// Nobody acknowledges either, so a writer goes on until its buffer is full and then
// blocks. There is no way back.
func (c *Conn) Blackhole() {
	c.in.lose()
	c.out.lose()
}

// LocalAddr is a [*net.TCPAddr].
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is a [*net.TCPAddr]: the request's RemoteAddr on a server.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines, on the clock of the bubble the connection is in.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline bounds Reads, those under way included; zero means no bound.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.opError("set", c.in.setReadDeadline(t))
}

// SetWriteDeadline bounds Writes, those under way included; zero means no bound.
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
