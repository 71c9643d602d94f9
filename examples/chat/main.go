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
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/securews/securews/examples/localcert"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

func main() {
	o, err := parseOptions(os.Args[1:], os.Stderr)
	if err == nil {
		err = run(o, os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

func run(o options, out io.Writer, log *slog.Logger) error {
	slog.SetDefault(log)
	// Registered before the server starts, so that no signal is missed.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	cert, err := o.certificate()
	if err != nil {
		return err
	}
	st, err := o.openState(log)
	if err != nil {
		return err
	}
	defer st.close()
	people, passwords, err := newAccounts(o.accounts, hashRounds, st)
	if err != nil {
		return err
	}
	listener, err := o.listen()
	if err != nil {
		return err
	}
	origins, err := o.publicOrigins(listener.Addr())
	if err != nil {
		return err
	}
	sessions, err := newSessions(origins, st, log)
	if err != nil {
		return err
	}
	restarts, err := o.newStorm(origins[0], cert, log)
	if err != nil {
		return err
	}
	said := func() { announce(out, o, origins[0], passwords, cert, listener.Addr()) }
	for {
		a, err := o.newApp(origins, people, sessions, st, restarts, log)
		if err != nil {
			return err
		}
		again, err := o.serveUntil(a, cert, listener, said, signals)
		a.stop()
		if err != nil || !again {
			return err
		}
		if listener, err = net.Listen("tcp", listener.Addr().String()); err != nil {
			return err
		}
		said = func() {}
	}
}

// serveUntil serves until a signal comes, or a storm asks for a restart.
func (o options) serveUntil(
	a *app, cert tls.Certificate, listener net.Listener, serving func(), signals <-chan os.Signal,
) (again bool, err error) {
	srv := middleware.NewServer(o.addr, a.routes())
	srv.TLSConfig.Certificates = []tls.Certificate{cert}
	served := make(chan error, 1)
	go func() { served <- o.serve(srv, listener) }()
	serving()
	select {
	case err := <-served:
		return false, err
	case s := <-signals:
		a.log.Info("stopping", "signal", s.String(), "within", o.drain)
		a.shutDown(srv, o.drain, signals)
		return false, nil
	case <-a.storm.asked():
		ctx, cancel := context.WithTimeout(context.Background(), stormDrain)
		defer cancel()
		if err := a.registry.Shutdown(ctx, srv); err != nil {
			a.log.Warn("restarting", "error", err)
		}
		return true, nil
	}
}

// newApp returns the app of the command line.
func (o options) newApp(
	origins []string, people *accounts, sessions *session.Manager, st state, restarts *storm, log *slog.Logger,
) (*app, error) {
	proxies, err := o.proxies()
	if err != nil {
		return nil, err
	}
	a, err := newApp(origins, proxies, people, sessions, st, o.limits, log)
	if err == nil && restarts != nil {
		a.storm = restarts
		a.page.storm = true
		restarts.app.Store(a)
	}
	return a, err
}

// certificate loads the given certificate, or creates one for this machine. Behind a proxy
// there is none.
func (o options) certificate() (tls.Certificate, error) {
	switch {
	case len(o.behind) > 0:
		return tls.Certificate{}, nil
	case o.cert == "":
		return localcert.New()
	}
	return tls.LoadX509KeyPair(o.cert, o.key)
}

// announce prints the address and the passwords once. It does not use the logger, because
// logs are stored and forwarded and must not contain passwords.
func announce(out io.Writer, o options, origin string, passwords []string, cert tls.Certificate, listening net.Addr) {
	fmt.Fprintf(out, "\n  Chat is at  %s\n\n  account     password\n", origin)
	for i, name := range o.accounts {
		fmt.Fprintf(out, "  %-11s %s\n", name, passwords[i])
	}
	fmt.Fprint(out, `
  Try this:
    sign in in two tabs, sign out in one: the other ends with 3000 revoked
    say something in the sealed room, with Security open: the page's frames, and what they hold
    sign in in two browsers, and end one in the list of devices of the other: a click on the name

`)
	switch {
	case len(o.behind) > 0:
		o.announceProxy(out, listening)
	case o.cert == "":
		sum := localcert.Fingerprint(cert)
		fmt.Fprintf(out, "  The certificate was made just now, so the browser asks you to accept it. Its SHA-256:\n  %s\n\n", sum)
		fmt.Fprintf(out, "  In a terminal:\n  go run ./examples/chat/client -origin %s -user %s -fingerprint %s\n\n",
			origin, o.accounts[0], sum)
	}
}

// shutDown ends everything within the given time, or at once on a second signal. From the
// first moment new handshakes are refused and /ready reports it. Open sockets are closed
// with 1012, spread over time so that the clients do not all reconnect at once. Requests
// that remain at the end are cut, which is not an error.
func (a *app) shutDown(srv *http.Server, within time.Duration, signals <-chan os.Signal) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := a.registry.Shutdown(ctx, srv); err != nil {
		a.log.Warn("stopping", "error", err)
	}
	a.log.Info("stopped")
}
