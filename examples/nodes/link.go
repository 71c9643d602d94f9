package main

import (
	"net"
	"sync"
)

// link is the network between one node and Redis: a TCP proxy that can be cut. While it is cut,
// connections stay open and carry nothing, as behind a switch that fails.
type link struct {
	listener net.Listener
	target   string

	mu   sync.Mutex
	open chan struct{} // closed: bytes pass
}

func newLink(target string) (*link, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	x := &link{listener: l, target: target, open: make(chan struct{})}
	close(x.open)
	go x.accept()
	return x, nil
}

func (x *link) cut() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.open = make(chan struct{})
}

func (x *link) heal() {
	x.mu.Lock()
	defer x.mu.Unlock()
	close(x.open)
}

// wait returns when bytes may pass.
func (x *link) wait() {
	x.mu.Lock()
	open := x.open
	x.mu.Unlock()
	<-open
}

func (x *link) accept() {
	for {
		c, err := x.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			x.wait()
			s, err := net.Dial("tcp", x.target)
			if err != nil {
				_ = c.Close()
				return
			}
			go x.pass(s, c)
			x.pass(c, s)
		}()
	}
}

func (x *link) pass(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		x.wait()
		if _, failed := to.Write(b[:n]); err != nil || failed != nil {
			return
		}
	}
}
