package browser_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// path is a TCP relay to a site that can lose everything, and reset its connections.
type path struct {
	listener net.Listener
	hole     atomic.Bool // deliver nothing

	mu    sync.Mutex
	site  string // address
	conns []net.Conn
}

// through has a site dialled through a path.
func (s *site) through() *path {
	s.t.Helper()
	p := &path{listener: must((&net.ListenConfig{}).Listen(s.t.Context(), "tcp", "127.0.0.1:0"))(s.t)}
	s.path = p
	var relays sync.WaitGroup
	relays.Go(func() {
		for {
			c, err := p.listener.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			to := p.site
			p.mu.Unlock()
			up, err := (&net.Dialer{}).Dial("tcp", to)
			if err != nil {
				_ = c.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, c, up)
			p.mu.Unlock()
			relays.Go(func() { p.copy(c, up) })
			relays.Go(func() { p.copy(up, c) })
		}
	})
	s.t.Cleanup(func() {
		_ = p.listener.Close()
		p.reset()
		relays.Wait()
	})
	return p
}

// leads has the path end at the address of a site.
func (p *path) leads(to string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.site = to
}

func (p *path) copy(to, from net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if p.hole.Load() {
			n = 0
		}
		if _, failed := to.Write(buf[:n]); err != nil || failed != nil {
			if !p.hole.Load() || err != io.EOF {
				_ = to.Close()
			}
			_ = from.Close()
			return
		}
	}
}

// reset ends every connection at once.
func (p *path) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	p.conns = nil
}
