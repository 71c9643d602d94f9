package browser_test

import (
	"encoding/json"
	"errors"
	"io"
	"testing"
	"time"
)

// line is a report of the client.
type line struct {
	State  string
	Ending *ending
	Delay  float64 // in ms, of the state waiting
	Sealed bool

	Protocol string
	Message  *string
	Ticket   *string
	Renew    bool
	Renewed  bool

	Undelivered *string
	Why         string // for Shown: why the page was not in the back-forward cache, if the browser says it
	Sent        int    // how many numbers have been sent

	// Only a page reports these.
	Fault  string
	Over   bool   // for good
	Timers int    // that are still running
	Shown  string // "anew", "again" from the back-forward cache, or another page: "away"
}

type ending struct {
	Code, Status int
	Reason, Text string
	Next         string
	Truncated    bool
}

// page is a running client and its reports.
type page struct {
	t     *testing.T
	in    io.WriteCloser
	lines chan line
	all   []line

	browser *remote // that shows it
}

func (p *page) do(what options) {
	p.t.Helper()
	if _, err := p.in.Write(append(must(json.Marshal(what))(p.t), '\n')); err != nil {
		p.t.Fatal(err)
	}
}

var errEnded = errors.New("the client has ended")

// until reads up to the first line that matches.
func (p *page) until(what string, fits func(line) bool) line {
	p.t.Helper()
	late := time.After(patience)
	for {
		select {
		case l, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("waiting for %s: %v; it said %s", what, errEnded, must(json.Marshal(p.all))(p.t))
			}
			p.all = append(p.all, l)
			if fits(l) {
				return l
			}
		case <-late:
			p.t.Fatalf("waited in vain for %s; it said %s", what, must(json.Marshal(p.all))(p.t))
		}
	}
}

func (p *page) state(name string) line {
	p.t.Helper()
	return p.until(name, func(l line) bool { return l.State == name })
}

func (p *page) message(text string) {
	p.t.Helper()
	p.until(text, func(l line) bool { return l.Message != nil && *l.Message == text })
}

// end waits until the client has ended for good and has nothing left to do: the process
// exits, and a page has no timer running.
func (p *page) end() {
	p.t.Helper()
	late := time.After(patience)
	for {
		select {
		case l, ok := <-p.lines:
			if ok {
				p.all = append(p.all, l)
			}
			if l.Timers > 0 {
				p.t.Errorf("the client has ended, and %d of its timers have not", l.Timers)
			}
			if !ok || l.Over {
				return
			}
		case <-late:
			p.t.Fatal("the client has not ended")
		}
	}
}

// replacesItsTicket checks the first reports of a client whose first ticket is old.
func (p *page) replacesItsTicket(s *site) {
	p.t.Helper()
	if e := p.state("waiting").Ending; e.Code != 1006 {
		p.t.Errorf("%+v, want 1006: a browser does not see the 401", e)
	}
	p.state("open")
	if s.fetched.Load() != 2 || s.dials.Load() != 2 {
		p.t.Errorf("%d tickets, %d dials, want 2 and 2", s.fetched.Load(), s.dials.Load())
	}
}

// count returns how many of the lines read so far match.
func (p *page) count(fits func(line) bool) (n int) {
	for _, l := range p.all {
		if fits(l) {
			n++
		}
	}
	return n
}
