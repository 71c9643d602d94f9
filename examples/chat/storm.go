package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/securews/securews/examples/localcert"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
)

// The bounds of a storm.
const (
	stormSockets = 100
	stormOpening = 15 * time.Second // for all to open
	stormReturn  = 40 * time.Second // for all to come back
	stormDrain   = 2 * time.Second  // of the server
	stormStay    = 3 * time.Second  // after that
)

// storm restarts the server under a hundred sockets of the administrator who asks for it: clients
// of package redial in this process, with tokens of the administrator's session. There is one at a
// time, and it ends by itself. It exists only in a demo that browsers reach on loopback, without a
// proxy and without other nodes; see options.mayStorm.
type storm struct {
	restart chan struct{} // asks run for a restart
	app     atomic.Pointer[app]
	url     string
	dial    *http.Client
	log     *slog.Logger

	mu      sync.Mutex
	running bool // run has not returned
	report  stormReport
}

// stormReport is the answer of GET /api/storm.
type stormReport struct {
	Phase   string         `json:"phase"` // "", opening, restarting, returning, done, failed
	Sockets int            `json:"sockets"`
	Open    int            `json:"open"`
	Ends    map[string]int `json:"ends"` // by code and reason
	Back    int            `json:"back"`
	Longest int64          `json:"longest"` // milliseconds between the end of a socket and its return
}

// mayStorm reports whether the demo may restart itself: no one but its user is affected.
func (o options) mayStorm() bool {
	return len(o.behind) == 0 && o.redis == "" && isLoopback(o.addr)
}

// newStorm returns nil if there may be none.
func (o options) newStorm(origin string, cert tls.Certificate, log *slog.Logger) (*storm, error) {
	if !o.mayStorm() {
		return nil, nil
	}
	pin, err := localcert.Pin(localcert.Fingerprint(cert))
	if err != nil {
		return nil, err
	}
	return &storm{
		restart: make(chan struct{}, 1),
		url:     "wss" + strings.TrimPrefix(origin, "https") + socketPath,
		dial:    &http.Client{Transport: &http.Transport{TLSClientConfig: pin, MaxConnsPerHost: stormSockets}},
		log:     log,
	}, nil
}

// asked returns the requests for a restart; none from a nil storm.
func (s *storm) asked() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.restart
}

// start is POST /api/storm.
func (s *storm) start(w http.ResponseWriter, r *http.Request) {
	p, _ := middleware.FromContext(r.Context())
	if !s.begin() {
		middleware.Refuse(w, r, &middleware.Refusal{Status: http.StatusConflict, Reason: "already_running"})
		return
	}
	go s.run(p)
	w.WriteHeader(http.StatusAccepted)
}

// begin starts a report; false if the sockets of the last storm are not closed.
func (s *storm) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return false
	}
	s.running, s.report = true, stormReport{Phase: "opening", Sockets: stormSockets, Ends: map[string]int{}}
	return true
}

func (s *storm) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = false
}

// over reports whether the report changes no more. It is called with mu held.
func (s *storm) over() bool { return s.report.Phase == "done" || s.report.Phase == "failed" }

// serveReport is GET /api/storm.
func (s *storm) serveReport(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	writeJSON(w, http.StatusOK, s.report)
}

// run outlasts the request, and the server that got it.
func (s *storm) run(p middleware.Principal) {
	defer s.finish()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	source := redial.Bearer(func(context.Context, bool) (string, time.Time, error) {
		token, err := s.app.Load().issuer.mint(p.Subject, p.SessionHandle, time.Now())
		return token, time.Now().Add(tokenLife), err
	})
	for range stormSockets {
		client, err := s.newClient(source)
		if err != nil {
			s.fail(err)
			return
		}
		all.Go(func() { _ = client.Run(ctx, readAll) })
	}
	if err := s.await(stormOpening, func(r stormReport) bool { return r.Open == stormSockets }); err != nil {
		s.fail(err)
		return
	}
	s.setPhase("restarting")
	s.restart <- struct{}{}
	err := s.await(stormReturn, func(r stormReport) bool { return r.Back == stormSockets })
	if err != nil {
		s.fail(err)
		return
	}
	s.setPhase("done")
	<-time.After(stormStay) // the page shows all of them
}

// newClient returns a client whose changes are counted.
func (s *storm) newClient(source redial.Source) (*redial.Client, error) {
	return redial.New(redial.Config{
		URL: s.url, Subprotocols: []string{subprotocol}, Credential: source, HTTPClient: s.dial, OnState: s.counted(),
	})
}

// counted returns a function that counts the changes of one client, until the storm is over.
func (s *storm) counted() func(redial.State) {
	var lost time.Time
	open := false
	return func(state redial.State) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case s.over(): // the sockets are being closed
		case state.Phase == redial.Open:
			open = true
			s.report.Open++
			if !lost.IsZero() {
				s.report.Back++
				s.report.Longest = max(s.report.Longest, time.Since(lost).Milliseconds())
			}
		case open && (state.Phase == redial.Waiting || state.Phase == redial.Closed):
			open, lost = false, time.Now()
			s.report.Open--
			s.report.Ends[endOf(state.Cause)]++
		}
	}
}

// endOf returns code and reason of an end.
func endOf(cause error) string {
	var closed *ws.CloseError
	if errors.As(cause, &closed) {
		return fmt.Sprintf("%d %s", closed.Code, closed.Reason)
	}
	return "closed here"
}

// readAll reads until the connection ends: the news of rooms.
func readAll(_ context.Context, c *redial.Conn) error {
	for {
		if _, _, err := c.Read(); err != nil {
			return err
		}
	}
}

// await waits until the report is as it should be.
func (s *storm) await(within time.Duration, as func(stormReport) bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); time.Now().Before(end); <-tick.C {
		s.mu.Lock()
		reached := as(s.report)
		s.mu.Unlock()
		if reached {
			return nil
		}
	}
	return fmt.Errorf("chat: storm: not all sockets within %v", within)
}

func (s *storm) setPhase(phase string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Phase = phase
}

func (s *storm) fail(err error) {
	s.log.Warn("storm", "error", err)
	s.setPhase("failed")
}
