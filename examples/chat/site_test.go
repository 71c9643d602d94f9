package main

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// site is the program without its process: the chain on a server of the test's own.
type site struct {
	*app
	srv          *httptest.Server
	origin, host string
	origins      []string // with those of other pages
	people       *accounts
	password     string
	bobs         string // password
	sessions     *session.Manager
	limits       bounds
	cookie       string // alice's session
}

var quiet = slog.New(slog.DiscardHandler)

var generous = bounds{handshakesPerMinute: 10_000, loginsPerMinute: 1_000}

func startSite(t *testing.T, limits bounds, others ...string) *site {
	t.Helper()
	people, passwords, err := newAccounts([]string{"alice", "bob"}, 1000, state{})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(nil)
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	s := &site{host: "localhost:" + port, people: people, limits: limits, password: passwords[0], bobs: passwords[1]}
	s.origin = "https://" + s.host
	s.origins = append([]string{s.origin}, others...)
	if s.sessions, err = newSessions(s.origins, state{}, quiet); err != nil {
		t.Fatal(err)
	}
	s.serve(t, srv)
	s.cookie = signIn(t, insecure(), s.origin, "alice", s.password)
	return s
}

// serve makes the app, anew each time but for accounts and sessions.
func (s *site) serve(t *testing.T, srv *httptest.Server) {
	t.Helper()
	var err error
	if s.app, err = newApp(s.origins, nil, s.people, s.sessions, state{}, s.limits, quiet); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.app.stop)
	s.srv = srv
	srv.Config = middleware.NewServer("", s.routes())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
}

// stop ends the server as a deployment does.
func (s *site) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // half of it spreads the closing
	defer cancel()
	if err := s.registry.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	s.srv.CloseClientConnections()
	s.srv.Close()
}

// restart serves again at the same address.
func (s *site) restart(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", s.srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(nil)
	_ = srv.Listener.Close()
	srv.Listener = listener
	s.serve(t, srv)
}
