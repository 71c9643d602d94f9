package main

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// settings are those of routes.
type settings struct {
	origin     string        // of the page
	trusted    string        // the proxy: ProxiesConfig.Trusted
	hosts      []string      // the Host of a request; none: that of the origin
	hostHeader string        // the header with the client's Host: ProxiesConfig.HostHeader
	beat       time.Duration // between two signs of life, of sockets and of streams
	log        *slog.Logger
}

// routes returns the service. Each part that asks for the scheme, the host or the address of
// the client has the same Proxies.
func routes(s settings) (http.Handler, *live.Registry, error) {
	proxies, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{s.trusted}, HostHeader: s.hostHeader})
	if err != nil {
		return nil, nil, err
	}
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{s.origin}, AllowMissing: true}) // for native clients
	if err != nil {
		return nil, nil, err
	}
	if len(s.hosts) == 0 {
		s.hosts = []string{strings.TrimPrefix(s.origin, "https://")}
	}
	hosts, err := middleware.NewHostPolicy(s.hosts...)
	if err != nil {
		return nil, nil, err
	}
	hosts, origins = hosts.Behind(proxies), origins.Behind(proxies)
	headers, err := middleware.NewHeaders(middleware.HeadersConfig{})
	if err != nil {
		return nil, nil, err
	}
	limit, err := middleware.NewRateLimit(middleware.RateLimitConfig{Events: 5, Per: time.Hour, Proxies: proxies})
	if err != nil {
		return nil, nil, err
	}
	registry, err := live.New(live.Config{Proxies: proxies, Log: s.log})
	if err != nil {
		return nil, nil, err
	}
	anyone, err := middleware.NewAuth(middleware.Anonymous()) // a real service authenticates
	if err != nil {
		return nil, nil, err
	}
	socket, err := ws.New(ws.Config{
		Origins: origins, Hosts: hosts, Proxies: proxies, Auth: anyone, Live: registry, Log: s.log,
		Serve: echo, Timeouts: ws.Timeouts{Heartbeat: s.beat},
	})
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /ws", socket)
	mux.Handle("GET /events", middleware.Chain(events(s.beat), anyone.Handler, registry.Handler))
	mux.Handle("POST /limited", limit.Handler(http.HandlerFunc(noContent)))
	return middleware.Chain(mux,
		proxies.Handler,
		middleware.AccessLog(s.log),
		middleware.Recover(s.log),
		headers.Handler,
		middleware.RequireTLS(proxies),
		hosts.Handler,
		origins.Handler,
	), registry, nil
}

func echo(_ context.Context, c *ws.Conn) error {
	for {
		typ, p, err := c.Read()
		if err != nil {
			return err
		}
		if err := c.Write(typ, p); err != nil {
			return err
		}
	}
}

func noContent(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// events returns an event stream that sends a comment at the given interval, which proxies
// and clients take for a sign of life.
func events(beat time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Accel-Buffering", "no") // nginx would collect the events
		control := http.NewResponseController(w)
		tick := time.NewTicker(beat)
		defer tick.Stop()
		for {
			_ = control.SetWriteDeadline(time.Now().Add(10 * time.Second)) // in place of the server's WriteTimeout
			if _, err := w.Write([]byte(":\n\n")); err != nil {
				return
			}
			if err := control.Flush(); err != nil {
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
			}
		}
	})
}
