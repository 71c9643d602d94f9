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

func TestBrowserComesBack(t *testing.T) {
	inBrowsers(t, func(t *testing.T, in show) {
		s := newSite(t, ws.Config{Serve: echo})
		s.firstTicketIsOld()
		p := s.browse(in, nil)
		p.replacesItsTicket(s)
		p.do(options{"send": "before"})
		p.message("before")

		s.drain()
		if e := p.state("waiting").Ending; e.Code != 1012 || e.Reason != "restart" {
			t.Errorf("%+v, want 1012 restart", e)
		}
		p.do(options{"send": "meanwhile"})
		s.start()
		p.message("meanwhile")

		s.kill()
		for range 8 {
			p.state("waiting")
		}
		s.start()
		p.state("open")

		dials := s.dials.Load()
		p.do(options{"sleep": true})
		p.do(options{"send": "awake"})
		p.message("awake")
		if n := s.dials.Load() - dials; n != 0 {
			t.Errorf("%d dials after the sleep, want none: the server answers", n)
		}
		dials, tickets := s.dials.Load(), s.fetched.Load()

		if err := s.revoked.Revoke(t.Context(), middleware.Revocation{SessionHandle: "s1"}); err != nil {
			t.Fatal(err)
		}
		if e := p.state("closed").Ending; e.Code != 3000 || e.Reason != "revoked" || e.Next != "sign-in" {
			t.Errorf("%+v, want 3000 revoked", e)
		}
		p.end()
		if s.dials.Load() != dials || s.fetched.Load() != tickets {
			t.Error("it went on after it was revoked")
		}
		if m := s.most.Load(); m != 1 {
			t.Errorf("%d handshakes at once, want 1", m)
		}
	})
}

func TestBrowserRenewsOnce(t *testing.T) {
	var refused atomic.Bool // the first connection is served, and every other one closed at once
	s := newSite(t, ws.Config{Serve: func(ctx context.Context, c *ws.Conn) error {
		if refused.Swap(true) {
			return ws.ErrExpired
		}
		return echo(ctx, c)
	}})
	s.holder.lives = []time.Duration{5 * time.Second}
	p := s.browse(chromium, options{"refresh": false})
	if e := p.until("expired", func(l line) bool { return l.Ending != nil }).Ending; e.Reason != "expired" || e.Next != "renew" {
		t.Errorf("%+v, want expired", e)
	}
	if e := p.state("closed").Ending; e.Reason != "expired" || e.Next != "sign-in" {
		t.Errorf("%+v, want expired and the end", e)
	}
	p.end()
	if s.fetched.Load() != 2 || s.dials.Load() != 2 {
		t.Errorf("%d tickets, %d dials, want 2 and 2", s.fetched.Load(), s.dials.Load())
	}
	s.alone()
}

func TestBrowserReadsRefusals(t *testing.T) {
	inBrowsers(t, func(t *testing.T, in show) {
		s := newSite(t, ws.Config{Serve: echo, ExplainRefusals: true, Authorize: func(*http.Request, middleware.Principal) (any, error) {
			return nil, &middleware.Refusal{Status: 403, Reason: middleware.ReasonForbidden}
		}})
		p := s.browse(in, options{"first": options{"send": "waits"}})
		if e := p.state("closed").Ending; e.Code != 3003 || e.Reason != "forbidden" || e.Next != "stop" {
			t.Errorf("%+v, want 3003 forbidden", e)
		}
		if l := p.until("undelivered", func(l line) bool { return l.Undelivered != nil }); *l.Undelivered != "waits" {
			t.Errorf("%q came back", *l.Undelivered)
		}
	})
}

func TestBrowserSeals(t *testing.T) {
	inBrowsers(t, func(t *testing.T, in show) {
		for suite, name := range suiteNames {
			t.Run(name, func(t *testing.T) {
				s, _ := sealedSite(t, suite)
				p := s.browse(in, options{"sealed": options{"audience": audience, "principal": "alice"}})
				p.exchange()
				s.drain()
				p.state("waiting")
				s.start()
				p.exchange()
				p.do(options{"send": "bye"})
				if e := p.state("closed").Ending; e.Code != 1000 || e.Truncated {
					t.Errorf("%+v, want 1000 and the close record before it", e)
				}
				s.alone()
			})
		}
	})
}
