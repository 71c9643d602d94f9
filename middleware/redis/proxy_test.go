package redis_test

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"
)

// proxy stands between a node and its server, and keeps connections open that it passes nothing
// on any more.
type proxy struct {
	l      net.Listener
	target string
	over   chan struct{} // closed when the test is
	delay  time.Duration // of all that goes to the server

	mu    sync.Mutex
	links map[*link]struct{}
	cut   chan struct{} // not nil: the node is cut off, until it is closed
	lose  string        // the next connection to carry it to the server is closed in place of the reply; "": none
}

// link is a connection through the proxy.
type link struct {
	client, server net.Conn
	dead           bool // guarded by proxy.mu
	loses          bool // the next reply; guarded by proxy.mu
	reads          bool // the log; guarded by proxy.mu
}

func startProxy(t testing.TB, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, target: target, over: make(chan struct{}), links: map[*link]struct{}{}}
	t.Cleanup(func() {
		_ = l.Close()
		close(p.over)
		p.mu.Lock()
		defer p.mu.Unlock()
		for x := range p.links {
			_, _ = x.client.Close(), x.server.Close()
		}
	})
	go p.accept()
	return p
}

func (p *proxy) addr() string { return p.l.Addr().String() }

func (p *proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		go p.connect(c)
	}
}

func (p *proxy) connect(c net.Conn) {
	p.pause(nil)
	x, err := p.link(c)
	if err != nil {
		_ = c.Close()
		return
	}
	go p.pass(x, x.server, c)
	p.pass(x, c, x.server)
}

// link dials under the lock, so that turn finds each connection to the former server.
func (p *proxy) link(c net.Conn) (*link, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, err := net.Dial("tcp", p.target)
	if err != nil {
		return nil, err
	}
	x := &link{client: c, server: s}
	p.links[x] = struct{}{}
	return x, nil
}

func (p *proxy) pass(x *link, to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if bytes.Contains(b[:n], []byte("securews-log")) {
			p.mu.Lock()
			x.reads = true
			p.mu.Unlock()
		}
		p.pause(x)
		if to == x.server {
			time.Sleep(p.delay)
		}
		if p.loses(x, to, b[:n]) {
			return
		}
		if _, writing := to.Write(b[:n]); err != nil || writing != nil {
			return
		}
	}
}

// loses notes that the reply to b is to be lost, and reports whether b is that reply.
func (p *proxy) loses(x *link, to net.Conn, b []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if to != x.server {
		return x.loses
	}
	if p.lose != "" && bytes.Contains(b, []byte(p.lose)) {
		p.lose, x.loses = "", true
	}
	return false
}

// loseReplyTo has the reply to the next command with the text lost, and its connection closed.
func (p *proxy) loseReplyTo(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose = text
}

// pause returns when bytes of the link may pass.
func (p *proxy) pause(x *link) {
	p.mu.Lock()
	cut, dead := p.cut, x != nil && x.dead
	p.mu.Unlock()
	if dead {
		<-p.over
	}
	if cut != nil {
		select {
		case <-cut:
		case <-p.over:
		}
	}
}

// sever cuts the node off, until heal.
func (p *proxy) sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = make(chan struct{})
}

func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.cut)
	p.cut = nil
}

// deaden has the present connections pass nothing on any more. Later ones do.
func (p *proxy) deaden() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for x := range p.links {
		x.dead = true
	}
}

// turn has later connections go to another server, and ends the present ones that which accepts.
func (p *proxy) turn(target string, which func(*link) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
	for x := range p.links {
		if which(x) {
			_, _ = x.client.Close(), x.server.Close()
			delete(p.links, x)
		}
	}
}

// reading reports whether a connection reads the log.
func (p *proxy) reading() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for x := range p.links {
		if x.reads {
			return true
		}
	}
	return false
}
