package browser_test

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/securews/securews/internal/needed"
	"github.com/securews/securews/ws"
)

// router answers for a server that is not there yet: requests for a ticket first, then handshakes.
type router struct {
	tickets, sockets atomic.Int64 // requests
	answered         atomic.Int64 // by the router
}

const refusals = 5 // of each kind of request

func (r *router) in(mux http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked := map[string]*atomic.Int64{"/ticket": &r.tickets, "/ws": &r.sockets}[req.URL.Path]
		if asked == nil {
			mux.ServeHTTP(w, req)
			return
		}
		n := asked.Add(1) - 1
		if n >= refusals {
			mux.ServeHTTP(w, req)
			return
		}
		r.answered.Add(1)
		status := []int{404, 200, 302, 421, 503}[n%5]
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if status == 302 {
			w.Header().Set("Location", origin+"/elsewhere")
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte("<!doctype html><title>" + strconv.Itoa(status) + "</title>"))
	})
}

// While a deployment is in progress a router answers 404, 200 with a page, 302, 421 and 503: the
// client comes back, and sends what waited.
func TestComesBackWhenARouterHasAnswered(t *testing.T) {
	for where, run := range map[string]func(*site, options) *page{
		"Node": func(s *site, o options) *page {
			s.start()
			return s.dial(o)
		},
		"Chromium": func(s *site, o options) *page { return s.browse(chromium, o) },
		"Firefox": func(s *site, o options) *page {
			needed.SameForServer(s.t, "Chromium")
			return s.browse(firefox, o)
		},
	} {
		t.Run(where, func(t *testing.T) {
			var r router
			s := newSite(t, ws.Config{Serve: echo})
			s.front = r.in
			p := run(s, options{})
			p.do(options{"send": "waits"})
			p.message("waits")
			if n := r.answered.Load(); n != 2*refusals {
				t.Errorf("the router answered %d requests, want %d", n, 2*refusals)
			}
			for _, l := range p.all {
				if l.State == "closed" || l.Undelivered != nil {
					t.Errorf("%+v", l)
				}
			}
			p.do(options{"close": true})
			p.end()
		})
	}
}
