package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/securews/securews/examples/localcert"
	"github.com/securews/securews/middleware"
)

func main() {
	addr := flag.String("addr", "localhost:8443", "listen on `host:port`")
	metricsAddr := flag.String("metrics", "localhost:9090", "serve metrics on `host:port`, without TLS or credentials")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *metricsAddr); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, addr, metricsAddr string) error {
	exporter, err := stdouttrace.New()
	if err != nil {
		return err
	}
	spans := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
	defer func() { _ = spans.Shutdown(context.Background()) }()
	s, err := newService("https://"+addr, spans.Tracer("observed"))
	if err != nil {
		return err
	}
	cert, err := localcert.New()
	if err != nil {
		return err
	}
	public, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	scrapes, err := net.Listen("tcp", metricsAddr)
	if err != nil {
		return err
	}
	srv, scraped := middleware.NewServer(addr, s.public), middleware.NewServer(metricsAddr, s.metrics)
	srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	failed := make(chan error, 2)
	go func() { failed <- srv.ServeTLS(public, "", "") }()
	go func() { failed <- scraped.Serve(scrapes) }()
	explain(addr, scrapes.Addr())

	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return cmp.Or(err, s.live.Shutdown(ctx, srv, scraped))
}

func explain(addr string, metrics net.Addr) {
	fmt.Printf(`wss://%[1]s/ws is a chat for those who sign in:
  curl -ki -H 'Origin: https://%[1]s' -X POST 'https://%[1]s/login?user=ann'
and its metrics:
  curl http://%[2]s/metrics
`, addr, metrics)
}
