package browser_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
)

// echo answers every message.
func echo(_ context.Context, c *ws.Conn) error {
	for {
		typ, p, err := c.Read()
		if err != nil {
			return err
		}
		if err := c.Write(typ, p); err != nil {
			return err
		}
	}
}

// alone checks that the client never had two dials, nor two connections, at a time.
func (s *site) alone() {
	s.t.Helper()
	if m, o := s.most.Load(), s.mostOpen.Load(); m != 1 || o > 1 {
		s.t.Errorf("%d handshakes and %d connections at once, want 1", m, o)
	}
}

func TestComesBackAfterARestart(t *testing.T) {
	s := newSite(t, ws.Config{Serve: echo})
	s.start()
	p := s.dial(nil)
	p.state("open")
	p.do(options{"send": "before"})
	p.message("before")
	s.drain()
	if e := p.state("waiting").Ending; e.Code != 1012 || e.Reason != "restart" || e.Next != "retry" {
		t.Errorf("%+v, want 1012 restart", e)
	}
	p.do(options{"send": "meanwhile"})
	s.start()
	p.message("meanwhile")
	p.do(options{"close": true})
	p.state("closed")
	s.alone()
}

func TestComesBackAfterALongOutage(t *testing.T) {
	s := newSite(t, ws.Config{Serve: echo})
	s.start()
	p := s.dial(nil)
	p.state("open")
	s.kill()
	for range 10 {
		if e := p.state("waiting").Ending; e.Next != "retry" {
			t.Errorf("%+v", e)
		}
	}
	s.start()
	p.state("open")
	p.do(options{"send": "again"})
	p.message("again")
	s.alone()
}

// After a sleep the server is asked at once, and a connection that it answers on is kept.
func TestAsksTheServerAfterASleep(t *testing.T) {
	var deaf atomic.Bool
	stop := make(chan struct{})
	s := newSite(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error {
		for {
			typ, p, err := c.Read()
			if err != nil {
				return err
			}
			if string(p) == "be deaf" && !deaf.Swap(true) {
				<-stop
				return nil
			}
			_ = c.Write(typ, p)
		}
	}})
	defer close(stop)
	s.start()
	p := s.dial(options{"heartbeat": options{"timeout": 500}})
	p.state("open")
	p.do(options{"sleep": true})
	p.do(options{"send": "awake"})
	p.message("awake")
	if n := s.dials.Load(); n != 1 {
		t.Errorf("%d dials, want 1: the server answers", n)
	}
	p.do(options{"send": "be deaf"})
	p.do(options{"sleep": true})
	if e := p.state("waiting").Ending; e.Code != 1006 || e.Reason != "timeout" || e.Next != "retry" {
		t.Errorf("%+v, want 1006 timeout", e)
	}
	p.state("open")
	if n := s.dials.Load(); n != 2 || s.most.Load() != 1 {
		t.Errorf("%d dials, %d at once; want 2, 1", n, s.most.Load())
	}
}

func TestAnExpiredTicketIsReplaced(t *testing.T) {
	s := newSite(t, ws.Config{Serve: echo})
	s.firstTicketIsOld()
	s.start()
	s.dial(nil).replacesItsTicket(s)
	s.alone()
}

// Each credential was accepted for a time, however short: another one is worth asking for.
func TestExpiredAsksForACredentialEachTime(t *testing.T) {
	s := newSite(t, ws.Config{Serve: echo})
	s.holder.lives = []time.Duration{4 * time.Second, 4 * time.Second}
	s.start()
	p := s.dial(options{"refresh": false})
	for range 2 {
		p.state("open")
		if e := p.state("waiting").Ending; e.Code != 3000 || e.Reason != "expired" || e.Next != "renew" {
			t.Errorf("%+v, want 3000 expired", e)
		}
	}
	p.state("open")
	renewed := p.count(func(l line) bool { return l.Ticket != nil && l.Renew })
	if s.fetched.Load() != 3 || s.dials.Load() != 3 || renewed != 2 {
		t.Errorf("%d tickets, %d dials, %d renewed; want 3, 3, 2", s.fetched.Load(), s.dials.Load(), renewed)
	}
	s.alone()
}

func TestReconnectsBeforeItsCredentialEnds(t *testing.T) {
	s := newSite(t, ws.Config{Serve: echo})
	s.holder.lives = []time.Duration{12 * time.Second} // renewed 3 s before, which is time for a busy machine
	s.start()
	// A connection is not renewed before it counts as a success, which is 10 s.
	p := s.dial(options{"times": options{"first": 20, "longest": 200, "spread": 50, "stable": 1000}})
	p.state("open")
	if !p.state("open").Renewed {
		t.Error("the second connection is no renewal")
	}
	p.do(options{"send": "still here"})
	p.message("still here")
	if n := p.count(func(l line) bool { return l.State == "waiting" }); n != 0 || s.dials.Load() != 2 || s.most.Load() != 1 {
		t.Errorf("%d waits, %d dials, %d at once; want 0, 2, 1", n, s.dials.Load(), s.most.Load())
	}
}

func TestStopsWhenRevoked(t *testing.T) {
	s := newSite(t, ws.Config{Serve: echo})
	s.start()
	p := s.dial(nil)
	p.state("open")
	if err := s.revoked.Revoke(t.Context(), middleware.Revocation{SessionHandle: "s1"}); err != nil {
		t.Fatal(err)
	}
	if e := p.state("closed").Ending; e.Code != 3000 || e.Reason != "revoked" || e.Next != "sign-in" || e.Text != "Signed out" {
		t.Errorf("%+v, want 3000 revoked", e)
	}
	p.end()
	if s.fetched.Load() != 1 || s.dials.Load() != 1 {
		t.Errorf("%d tickets, %d dials, want 1 and 1", s.fetched.Load(), s.dials.Load())
	}
}

func TestTicketRouteRefuses(t *testing.T) {
	refusal := func(status int, reason middleware.Reason, retryAfter string) error {
		return &middleware.Refusal{Status: status, Reason: reason, Header: http.Header{"Retry-After": {retryAfter}}}
	}
	s := newSite(t, ws.Config{Serve: echo})
	s.start()
	for _, tt := range []struct {
		status      int
		reason      middleware.Reason
		state, next string
	}{
		{401, middleware.ReasonCredentialRevoked, "closed", "sign-in"},
		{403, middleware.ReasonForbidden, "closed", "stop"},
		{401, "some_reason", "waiting", "retry"}, // of another server than this
	} {
		s.holder.refuse(refusal(tt.status, tt.reason, ""))
		e := s.dial(nil).state(tt.state).Ending
		if e.Status != tt.status || e.Reason != string(tt.reason) || e.Next != tt.next {
			t.Errorf("%+v, want %d %s and %s", e, tt.status, tt.reason, tt.next)
		}
	}
	s.holder.refuse(refusal(503, middleware.ReasonUnavailable, "2"))
	began := time.Now() // the time of its report would be too late, on a busy machine
	p := s.dial(nil)
	if l := p.state("waiting"); l.Ending.Status != 503 || l.Ending.Next != "retry" || l.Delay < 1900 {
		t.Errorf("%+v in %v ms, want 503 and another try in 2 s", l.Ending, l.Delay)
	}
	s.holder.refuse(nil)
	p.state("open")
	if waited := time.Since(began); waited < 1900*time.Millisecond {
		t.Errorf("came back after %v, Retry-After was 2 s", waited)
	}
}

// A page reads why a handshake is refused, and keeps its queue.
func TestReadableRefusal(t *testing.T) {
	s := newSite(t, ws.Config{Serve: echo, ExplainRefusals: true})
	s.start()
	bogus := "dGhpcyB0aWNrZXQgaXMgbm9uZSBvZiBvdXJzISEhISE"
	p := s.dial(options{"tickets": []string{bogus, bogus}})
	p.do(options{"send": "waits"})
	if e := p.state("closed").Ending; e.Code != 3000 || e.Reason != "reauth" || e.Next != "sign-in" {
		t.Errorf("%+v, want 3000 reauth", e)
	}
	l := p.until("undelivered", func(l line) bool { return l.Undelivered != nil })
	if *l.Undelivered != "waits" || l.Why != "closed" || s.dials.Load() != 2 {
		t.Errorf("%q %s after %d dials, want what waited, closed, 2", *l.Undelivered, l.Why, s.dials.Load())
	}
}

// Two clients that have queued as much as they hold send it to a server with the default limits:
// every message arrives, and neither connection is closed.
func TestTwoFullQueuesFitADefaultServer(t *testing.T) {
	const full = 1024
	var arrived atomic.Int64
	done := make(chan struct{})
	s := newSite(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error {
		for {
			if _, _, err := c.Read(); err != nil {
				return err
			}
			if arrived.Add(1) == 2*full {
				close(done)
			}
		}
	}})
	s.start()
	pages := []*page{s.dial(nil), s.dial(nil)}
	for _, p := range pages {
		p.state("open")
	}
	s.kill()
	for _, p := range pages {
		p.state("waiting")
		p.do(options{"burst": full + 1})
		p.until("the message that does not fit", func(l line) bool { return l.Undelivered != nil && l.Why == "full" })
	}
	s.start()
	for _, p := range pages {
		p.state("open")
	}
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%d of %d arrived", arrived.Load(), 2*full)
	}
	for _, p := range pages {
		p.do(options{"close": true})
		p.end()
		opened := p.count(func(l line) bool { return l.State == "open" })
		lost := p.count(func(l line) bool { return l.Undelivered != nil })
		if opened != 2 || lost != 1 {
			t.Errorf("%d connections, %d messages undelivered; want 2, and the one that did not fit", opened, lost)
		}
	}
}
