package browser_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/securews/securews/ws"
)

// freeze has Chromium stop the scripts of the page, as it does with a tab that is long out of sight.
// A script that runs is not interrupted.
func (p *page) freeze() {
	p.t.Helper()
	p.browser.do("Page.setWebLifecycleState", options{"state": "frozen"}, nil)
}

// frozen waits until the page has been frozen.
func (p *page) frozen() {
	p.t.Helper()
	p.browser.evaluate("frozen")
}

func (p *page) resume() {
	p.t.Helper()
	p.browser.do("Page.setWebLifecycleState", options{"state": "active"}, nil)
}

// The connection of a frozen tab ends.
func TestBrowserFreezesATab(t *testing.T) {
	var a tally
	s, p := a.sends(t, chromium, 800, options{})
	p.freeze()
	p.frozen()
	s.path.reset()
	s.left()
	if state := p.browser.evaluate("client.state"); state != `"open"` {
		t.Errorf("the client is %s before the page resumes, want open", state)
	}
	p.resume()
	if e := p.state("waiting").Ending; e.Code != 1006 || e.Next != "retry" {
		t.Errorf("%+v, want 1006", e)
	}
	p.state("open")
	p.sent(800)
	a.check(p, 800)
}

// gate holds requests. Each value of passes lets one through; a closed channel, all.
type gate struct{ arrivals, passes chan struct{} }

func newGate() gate { return gate{make(chan struct{}, 10), make(chan struct{}, 10)} }

func (g gate) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	note(g.arrivals)
	select {
	case <-g.passes:
	case <-r.Context().Done():
	}
}

// note sends a value, unless c is full.
func note(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// await waits for a value of c.
func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal("waited in vain for " + what)
	}
}

// A ticket arrives while a script runs, and then Chromium freezes the tab. The body of such a response
// never ends, although the page resumes: the client must not wait for it forever.
func TestBrowserFreezesATabAtItsTicket(t *testing.T) {
	s := newSite(t, ws.Config{Serve: echo})
	ticket, script := newGate(), newGate()
	answered := make(chan struct{}, 1)
	s.front = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/ticket" {
				next.ServeHTTP(w, r)
				return
			}
			ticket.ServeHTTP(w, r)
			next.ServeHTTP(w, r)
			note(answered)
		})
	}
	s.more = func(mux *http.ServeMux) { mux.Handle("GET /script", script) }
	p := s.browse(chromium, options{"times": options{"first": 20, "longest": 200, "spread": 50, "connect": 3000}})
	await(t, "the request for a ticket", ticket.arrivals)
	// Once the script has made its second request, the ticket is in the browser.
	p.browser.evaluate(`void setTimeout(() => {
		for (let n = 0; n < 2; n++) {
			const request = new XMLHttpRequest();
			request.open("GET", "/script", false);
			request.send();
		}
	})`)
	await(t, "the script", script.arrivals)
	close(ticket.passes)
	await(t, "the ticket", answered)
	script.passes <- struct{}{}
	await(t, "the script", script.arrivals)
	p.freeze()
	script.passes <- struct{}{}
	p.frozen()
	p.resume()
	p.state("open")
	p.do(options{"send": "here"})
	p.message("here")
	t.Logf("%d tickets", s.fetched.Load())
}
