package wstest

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
)

// Addresses for documentation (RFC 5737), so that a mistake never reaches a host.
var (
	clientAddr = netip.MustParseAddr("192.0.2.1")
	serverAddr = netip.MustParseAddr("192.0.2.80")
)

const (
	serverPort = 443
	firstPort  = 49152 // of the dynamic ports (RFC 6335 §6)
	portCount  = 1 << 14
)

// Listener is a [net.Listener] whose connections stay in the process. Create it with
// [NewListener]; inside a synctest bubble it belongs to that bubble. Dials to every name and
// port reach it.
type Listener struct {
	// Buffer is the number of bytes that a direction of a connection holds before its
	// writer blocks; 0 is [DefaultBuffer]. Set it before the first Dial.
	Buffer int

	backlog chan *Conn
	done    chan struct{}
	once    sync.Once

	mu     sync.Mutex
	dialed uint32
	conns  []*Conn // the client's ends; those closed at both ends are removed by the next Dial
}

// NewListener returns a listener that is ready for Accept and Dial.
func NewListener() *Listener {
	return &Listener{backlog: make(chan *Conn), done: make(chan struct{})}
}

// Accept waits for a Dial and returns the server's end. After Close it fails with
// [net.ErrClosed].
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
	default:
		select {
		case <-l.done:
		case c := <-l.backlog:
			return c, nil
		}
	}
	return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
}

// Close makes Accept and further Dials fail. Open connections are not affected.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr returns 192.0.2.80:443.
func (l *Listener) Addr() net.Addr { return tcpAddr(serverAddr, serverPort) }

// Dial connects from 192.0.2.1 and a new port. It waits until the connection is accepted or
// ctx ends. If the listener is closed it fails with [syscall.ECONNREFUSED].
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) { return l.DialFrom(ctx, clientAddr) }

// DialContext is [Listener.Dial] for http.Transport. It ignores network and addr.
func (l *Listener) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	return l.Dial(ctx)
}

// DialFrom is Dial from another client address.
func (l *Listener) DialFrom(ctx context.Context, ip netip.Addr) (net.Conn, error) {
	client := l.connect(ip)
	var err error
	select {
	case l.backlog <- client.peer:
		return client, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-l.done:
		err = syscall.ECONNREFUSED
	}
	client.closeBoth()
	return nil, &net.OpError{Op: "dial", Net: "tcp", Source: client.local, Addr: client.remote, Err: err}
}

func (l *Listener) connect(ip netip.Addr) *Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	client, _ := pipe(l.Buffer, tcpAddr(ip, uint16(firstPort+l.dialed%portCount)), l.Addr())
	l.dialed++
	l.conns = append(slices.DeleteFunc(l.conns, (*Conn).closed), client)
	return client
}

// Conns returns the client's ends of the connections with an open end, in the order of
// their Dials. It gives access to [Conn.Blackhole] below an http.Client and its TLS.
func (l *Listener) Conns() []*Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.conns), (*Conn).closed)
}
