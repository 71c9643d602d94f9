package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/securews/securews/examples/localcert"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
)

func main() {
	addr := flag.String("addr", "localhost:8445", "listen on `host:port`")
	drain := flag.Duration("drain", 10*time.Second, "how `long` open connections have to end when the server is told to")
	flag.Parse()
	if err := run(*addr, *drain, os.Stdout, slog.Default()); err != nil {
		fmt.Fprintln(os.Stderr, "upgraders:", err)
		os.Exit(1)
	}
}

func run(addr string, drain time.Duration, out io.Writer, log *slog.Logger) error {
	// Registered before the server starts, so that no signal is missed.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	cert, err := localcert.New()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	origin, err := localcert.Origin(addr, listener.Addr())
	if err != nil {
		return err
	}
	// There are few connections here, so that their ends need not be spread over 5 s.
	timeouts := live.Timeouts{Spread: 2 * time.Second}
	s, err := newSite(origin, session.Config{Log: log}, live.Config{Timeouts: timeouts, Log: log}, log)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended, err := s.bindAll(ctx, origin)
	defer func() { stop(); ended() }() // after the last connection
	if err != nil {
		return err
	}
	srv := middleware.NewServer(addr, s)
	srv.TLSConfig.Certificates = []tls.Certificate{cert}
	served := make(chan error, 1)
	go func() { served <- srv.ServeTLS(listener, "", "") }()
	announce(out, origin, cert)

	select {
	case err := <-served:
		return err
	case <-signals:
	}
	within, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	go func() { <-signals; cancel() }() // a second signal hastens
	return s.registry.Shutdown(within, srv)
}

// bindAll mounts the page and every connection of its table. They work until ctx ends;
// then, ended waits for the backend.
func (s *site) bindAll(ctx context.Context, origin string) (ended func(), err error) {
	ended = func() {}
	hosts, err := middleware.NewHostPolicy(strings.TrimPrefix(origin, "https://"))
	if err != nil {
		return ended, err
	}
	s.outer = append(s.outer, middleware.RequireTLS(nil), hosts.Handler)
	libraries, err := upgraders(ctx)
	if err != nil {
		return ended, err
	}
	var rows []row
	for _, u := range libraries {
		s.bind("GET "+u.path, u.echo)
		rows = append(rows, row{Name: u.name, Path: u.path, Kind: "socket", Hello: u.hello, Template: u.template})
	}
	s.bind("GET /events", eventStream(time.Second))
	rows = append(rows, row{Name: "event stream", Path: "/events", Kind: "events"})

	node := row{Name: "Node behind a proxy", Path: "/node", Kind: "socket"}
	switch backend, err := startNode(ctx); {
	case err == nil:
		s.bind("GET "+node.Path, backend)
		ended = func() { <-backend.exited }
	case errors.Is(err, exec.ErrNotFound):
		node.Missing, node.Install = "Node is not installed.", "apt-get install -y nodejs"
	default:
		node.Missing = "Node does not start: " + err.Error()
	}
	return ended, s.bindPage(append(rows, node))
}

func announce(out io.Writer, origin string, cert tls.Certificate) {
	fmt.Fprintf(out, `
  The page is at  %s

  Sign in there, open a second tab, and sign out in it: the first tab shows how each
  connection ended. Ctrl-C ends them with another reason.

  The certificate was made just now, so the browser asks you to accept it. Its SHA-256:
  %s

`, origin, localcert.Fingerprint(cert))
}
