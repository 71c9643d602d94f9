package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/securews/securews/middleware"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "listen on `host:port`, or on a Unix socket as unix:/path")
	origin := flag.String("origin", "https://app.example", "the `origin` of the page, which the proxy serves")
	hosts := flag.String("hosts", "", "the `Host` that the proxy sends, or several with commas, if it is not that of the origin")
	hostHeader := flag.String("host-header", "", "the `header` in which the proxy passes on the Host of the client")
	flag.Parse()
	s := settings{origin: *origin, hosts: strings.FieldsFunc(*hosts, func(r rune) bool { return r == ',' }), hostHeader: *hostHeader}
	if err := run(*addr, s); err != nil {
		fmt.Fprintln(os.Stderr, "deploy:", err)
		os.Exit(1)
	}
}

func run(addr string, s settings) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s.trusted, s.beat, s.log = "127.0.0.1", 15*time.Second, slog.Default()
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, s.trusted, addr = "unix", "unix", path
	}
	listener, err := net.Listen(network, addr)
	if err != nil {
		return err
	}
	handler, registry, err := routes(s)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	srv := middleware.NewServer(addr, handler)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		stop() // a second signal ends the process at once
	}
	within, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := registry.Shutdown(within, srv); err != nil {
		return err
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
