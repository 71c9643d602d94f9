package browser_test

import (
	"context"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/securews/securews/ws"
)

// path is a TCP relay to a site that can lose everything, and reset its connections.
type path struct {
	listener net.Listener
	hole     atomic.Bool // deliver nothing

	mu    sync.Mutex
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
			up, err := (&net.Dialer{}).Dial("tcp", s.addr)
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

func TestChromiumNoticesABlackHole(t *testing.T) {
	s := newSite(t, ws.Config{Serve: echo})
	way := s.through()
	p := s.browse(options{"heartbeat": options{"every": 500, "timeout": 500}})
	p.state("open")
	p.do(options{"send": "arrives"})
	p.message("arrives")
	way.hole.Store(true)
	p.do(options{"send": "vanishes"})
	if e := p.state("waiting").Ending; e.Code != 1006 || e.Reason != "timeout" {
		t.Errorf("%+v, want 1006 timeout", e)
	}
	named := func(l line) bool {
		return l.Undelivered != nil && *l.Undelivered == "vanishes" && l.Why == "unconfirmed"
	}
	if p.count(named) == 0 {
		p.until("what is not confirmed", named)
	}
	way.hole.Store(false)
	way.reset()
	p.state("open")
	p.do(options{"send": "after"})
	p.message("after")
}

// The path is reset every 500 ms while a page sends 2,000 numbers: each arrives once, or is named.
func TestChromiumThroughResets(t *testing.T) {
	const most = 2000
	var mu sync.Mutex
	arrived := map[int]int{}
	s := newSite(t, ws.Config{Limits: ws.Limits{MessagesPerSecond: 10_000}, Serve: func(_ context.Context, c *ws.Conn) error {
		for {
			var n int
			if err := c.ReadJSON(&n); err != nil {
				return err
			}
			mu.Lock()
			arrived[n]++
			mu.Unlock()
		}
	}})
	way := s.through()
	p := s.browse(options{"queue": options{"messages": 10_000}})
	p.state("open")
	stop := make(chan struct{})
	var resets sync.WaitGroup
	resets.Go(func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				way.reset()
			case <-stop:
				return
			}
		}
	})
	p.do(options{"numbers": most})
	p.until("the last number", func(l line) bool { return l.Sent == most })
	close(stop)
	resets.Wait()
	p.do(options{"close": true})
	p.end()
	named := map[int]bool{}
	for _, l := range p.all {
		if l.Undelivered != nil {
			n, _ := strconv.Atoi(*l.Undelivered)
			named[n] = true
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for n := range most {
		if arrived[n] > 1 || arrived[n] == 0 && !named[n] {
			t.Errorf("%d arrived %d times, named: %v", n, arrived[n], named[n])
		}
	}
	opened := p.count(func(l line) bool { return l.State == "open" })
	t.Logf("%d connections, %d arrived, %d named", opened, len(arrived), len(named))
	if opened < 5 || len(arrived) < most/2 {
		t.Errorf("%d connections, %d arrived", opened, len(arrived))
	}
}
