package metrics_test

import (
	"context"
	"log"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/metrics"
	"github.com/securews/securews/ws"
)

// A service that counts its sockets, and serves the metrics on a listener of their own.
func Example() {
	collector := checked(metrics.New(metrics.Config{Live: live.Config{Limits: live.Limits{Connections: 20_000}}}))
	registry := collector.Live()
	prom := prometheus.NewRegistry()
	prom.MustRegister(collector)
	scrapes := http.NewServeMux()
	scrapes.Handle("GET /metrics", promhttp.HandlerFor(prom, promhttp.HandlerOpts{}))
	go func() { log.Fatal(middleware.NewServer("localhost:9090", scrapes).ListenAndServe()) }()

	auth := checked(middleware.NewAuth(middleware.Anonymous())) // yours
	origins := checked(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}}))
	socket := checked(ws.New(ws.Config{Origins: origins, Auth: auth, Live: registry, Serve: serve}))
	mux := http.NewServeMux()
	mux.Handle("GET /ws", socket)
	srv := middleware.NewServer(":8443", middleware.Chain(mux, collector.Handler, middleware.AccessLog(nil)))
	log.Fatal(srv.ListenAndServeTLS("cert.pem", "key.pem"))
}

func serve(_ context.Context, c *ws.Conn) error { return c.PushOnly() }

func checked[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
