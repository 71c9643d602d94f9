package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/securews/securews/examples/localcert"
	"github.com/securews/securews/middleware"
)

func main() {
	addr := flag.String("addr", "localhost:8444", "listen on `host:port`")
	every := flag.Duration("every", time.Second, "time between two ticks")
	flag.Parse()
	if err := run(*addr, *every); err != nil {
		fmt.Fprintln(os.Stderr, "feed:", err)
		os.Exit(1)
	}
}

func run(addr string, every time.Duration) error {
	if every <= 0 {
		return errors.New("-every: want a time above zero")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
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
	f := new(feed)
	handler, registry, err := routes(origin, f, slog.Default())
	if err != nil {
		return err
	}
	srv := middleware.NewServer(addr, handler)
	srv.TLSConfig.Certificates = []tls.Certificate{cert}
	served := make(chan error, 1)
	go func() { served <- srv.ServeTLS(listener, "", "") }()
	go f.run(ctx, every)
	fmt.Printf("The feed is at %s (certificate made just now, SHA-256 %s)\n", origin, localcert.Fingerprint(cert))
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		stop() // a second signal ends the process at once
	}
	within, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return registry.Shutdown(within, srv)
}
