package browser_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/securews/securews/internal/needed"
	"github.com/securews/securews/internal/poll"
	"github.com/securews/securews/ws"
)

// tally counts the numbers that arrive at a site.
type tally struct {
	mu      sync.Mutex
	arrived map[int]int
}

func (a *tally) serve(_ context.Context, c *ws.Conn) error {
	for {
		var n int
		if err := c.ReadJSON(&n); err != nil {
			return err
		}
		a.mu.Lock()
		a.arrived[n]++
		a.mu.Unlock()
	}
}

func (a *tally) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.arrived = map[int]int{}
}

// sends has a page send the numbers below most, one every 5 ms, and waits until one has arrived: the
// page has then read the command.
func (a *tally) sends(t *testing.T, in show, most int, o options) (*site, *page) {
	t.Helper()
	a.forget()
	s := newSite(t, ws.Config{Limits: ws.Limits{MessagesPerSecond: 10_000}, Serve: a.serve})
	s.through()
	o["queue"] = options{"messages": 10_000}
	p := s.browse(in, o)
	p.state("open")
	p.do(options{"numbers": most})
	a.begun(t)
	return s, p
}

// begun waits until a number has arrived.
func (a *tally) begun(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := poll.Until(ctx, func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.arrived) == 0 {
			return errors.New("no number has arrived")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sent waits until the page has sent the numbers below most.
func (p *page) sent(most int) {
	p.t.Helper()
	p.until("the last number", func(l line) bool { return l.Sent == most })
}

// check checks that each number below most arrived once, or that the page has named it.
func (a *tally) check(p *page, most int) {
	p.t.Helper()
	p.do(options{"close": true})
	p.end()
	named := map[int]bool{}
	for _, l := range p.all {
		if l.Undelivered != nil {
			n, _ := strconv.Atoi(*l.Undelivered)
			named[n] = true
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for n := range most {
		if a.arrived[n] > 1 || a.arrived[n] == 0 && !named[n] {
			p.t.Errorf("%d arrived %d times, named: %v", n, a.arrived[n], named[n])
		}
	}
	opened := p.count(func(l line) bool { return l.State == "open" })
	p.t.Logf("%d connections, %d arrived, %d named", opened, len(a.arrived), len(named))
	if len(a.arrived) < most/2 {
		p.t.Errorf("%d of %d arrived", len(a.arrived), most)
	}
}

// left waits until the server has no connection.
func (s *site) left() {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); s.open.Load() > 0; {
		select {
		case <-tick.C:
		case <-late:
			s.t.Fatal("the connection has not ended")
		}
	}
}

// The path is reset every 500 ms while a page sends 2,000 numbers.
func TestBrowserThroughResets(t *testing.T) {
	inBrowsers(t, func(t *testing.T, in show) {
		var a tally
		s, p := a.sends(t, in, 2000, options{})
		stop := make(chan struct{})
		var resets sync.WaitGroup
		resets.Go(func() {
			tick := time.NewTicker(500 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					s.path.reset()
				case <-stop:
					return
				}
			}
		})
		p.sent(2000)
		close(stop)
		resets.Wait()
		a.check(p, 2000)
		if n := p.count(func(l line) bool { return l.State == "open" }); n < 5 {
			t.Errorf("%d connections, want one after each reset", n)
		}
	})
}

// The path loses everything, without a word.
func TestBrowserThroughABlackHole(t *testing.T) {
	inBrowsers(t, func(t *testing.T, in show) {
		var a tally
		s, p := a.sends(t, in, 800, options{"heartbeat": options{"every": 500, "timeout": 500}})
		s.path.hole.Store(true)
		if e := p.state("waiting").Ending; e.Code != 1006 || e.Reason != "timeout" {
			t.Errorf("%+v, want 1006 timeout", e)
		}
		s.path.hole.Store(false)
		s.path.reset()
		p.state("open")
		p.sent(800)
		a.check(p, 800)
	})
}

// The machine has no network for a while, and the browser knows: the client waits until it has.
func TestBrowserOffline(t *testing.T) {
	var a tally
	times := options{"first": 20, "longest": 600_000, "spread": 50}
	s, p := a.sends(t, chromium, 800, options{"times": times, "heartbeat": options{"every": 500, "timeout": 500}})
	network := func(offline bool) {
		s.path.hole.Store(offline)
		p.browser.do("Network.emulateNetworkConditions", options{
			"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
		}, nil)
	}
	p.browser.do("Network.enable", nil, nil)
	network(true)
	p.browser.evaluate(`reached("waiting")`)
	s.path.reset()
	network(false)
	if l := p.state("waiting"); l.Ending.Code != 1006 || l.Delay < 600_000 {
		t.Errorf("%+v, and the next attempt in %v ms; want 1006, and the longest delay", l.Ending, l.Delay)
	}
	p.state("open")
	p.sent(800)
	a.check(p, 800)
}

// The user follows a link and comes back. The connection has ended meanwhile. Firefox keeps no page
// that has an open WebSocket, and loads it anew. Chromium keeps it, but any browser may discard a page
// that is not shown: so there are three tries.
func TestBrowserBackAndForward(t *testing.T) {
	for name, in := range map[string]struct {
		show  show
		shown string
	}{
		"Chromium": {chromium, "again"},
		"Firefox":  {firefox, "anew"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "Firefox" {
				needed.SameForServer(t, "Chromium")
			}
			var a tally
			s, p := a.sends(t, in.show, 800, options{})
			for tries := 1; ; tries++ {
				p.do(options{"leave": true})
				p.until("another page", func(l line) bool { return l.Shown == "away" })
				s.left()
				p.do(options{"back": true})
				back := p.until("the page", func(l line) bool { return l.Shown != "" })
				p.state("open")
				if back.Shown == "anew" { // with a client that has sent nothing
					a.forget()
					p.do(options{"numbers": 800})
				}
				if back.Shown == in.shown {
					break
				}
				if tries == 3 {
					t.Fatalf("shown %s, want %s; %s", back.Shown, in.shown, back.Why)
				}
				t.Logf("shown %s; %s", back.Shown, back.Why)
				a.begun(t)
			}
			p.sent(800)
			a.check(p, 800)
		})
	}
}
