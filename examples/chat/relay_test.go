package main

import (
	"net"
	"strconv"
	"sync"
	"testing"
)

// relay passes connections on to the site until it is stalled: then it keeps them open and
// passes nothing, as a path does that has died.
type relay struct {
	origin string
	mu     sync.Mutex
	alive  *sync.Cond
	dead   bool
}

// startRelay returns a relay on a port of its own, and a site for the origin of that port.
func startRelay(t *testing.T) (*relay, *site) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{origin: "https://localhost:" + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)}
	r.alive = sync.NewCond(&r.mu)
	s := startSite(t, generous, r.origin)
	var all sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		s.srv.CloseClientConnections()
		r.stall(false)
		all.Wait()
	})
	to := s.srv.Listener.Addr().String()
	all.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { r.carry(from, to) })
		}
	})
	return r, s
}

func (r *relay) carry(from net.Conn, address string) {
	to, err := net.Dial("tcp", address)
	if err != nil {
		_ = from.Close()
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			b := make([]byte, 16<<10)
			for {
				n, err := way[0].Read(b)
				r.wait()
				if _, failed := way[1].Write(b[:n]); err != nil || failed != nil {
					_ = from.Close()
					_ = to.Close()
					return
				}
			}
		})
	}
	both.Wait()
}

// wait returns once the path is alive.
func (r *relay) wait() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.dead {
		r.alive.Wait()
	}
}

func (r *relay) stall(dead bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead = dead
	r.alive.Broadcast()
}
