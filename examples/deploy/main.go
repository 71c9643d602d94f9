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
	flag.Parse()
	if err := run(*addr, *origin); err != nil {
		fmt.Fprintln(os.Stderr, "deploy:", err)
		os.Exit(1)
	}
}

func run(addr, origin string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	network, trusted := "tcp", "127.0.0.1"
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, trusted, addr = "unix", "unix", path
	}
	listener, err := net.Listen(network, addr)
	if err != nil {
		return err
	}
	handler, registry, err := routes(settings{origin: origin, trusted: trusted, beat: 15 * time.Second, log: slog.Default()})
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
