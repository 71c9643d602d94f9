package main

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/trace"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/metrics"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
)

// service is the handlers of both listeners, and the owner of the connections.
type service struct {
	public, metrics http.Handler
	live            *live.Registry
	tracer          trace.Tracer

	mu    sync.Mutex
	conns map[*ws.Conn]struct{} // in the room
}

func newService(origin string, tracer trace.Tracer) (*service, error) {
	s := &service{tracer: tracer, conns: map[*ws.Conn]struct{}{}}
	collector, err := metrics.New(metrics.Config{})
	if err != nil {
		return nil, err
	}
	s.live = collector.Live()
	prom := prometheus.NewRegistry()
	prom.MustRegister(collector)
	scrapes := http.NewServeMux()
	scrapes.Handle("GET /metrics", promhttp.HandlerFor(prom, promhttp.HandlerOpts{}))
	s.metrics = scrapes

	sessions, errSessions := session.New(session.Config{})
	origins, errOrigins := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{origin}})
	headers, errHeaders := middleware.NewHeaders(middleware.HeadersConfig{})
	if err := errors.Join(errSessions, errOrigins, errHeaders); err != nil {
		return nil, err
	}
	auth, err := middleware.NewAuth(sessions)
	if err != nil {
		return nil, err
	}
	socket, err := ws.New(ws.Config{Origins: origins, Auth: auth, Live: s.live, Authorize: handshakeSpan, Serve: s.serve})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /ws", socket)
	mux.HandleFunc("POST /login", answer(func(r *http.Request) error { // check a password here
		return sessions.Login(r.Context(), session.Identity{Subject: r.FormValue("user")})
	}))
	mux.HandleFunc("POST /logout", answer(func(r *http.Request) error { return sessions.Logout(r.Context()) }))
	s.public = middleware.Chain(mux, collector.Handler, traced(tracer),
		middleware.AccessLog(nil), middleware.Recover(nil), headers.Handler, origins.Handler, sessions.Handler)
	return s, nil
}

func answer(do func(r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := do(r); err != nil {
			middleware.Refuse(w, r, err)
		}
	}
}

// serve is the life of one connection: each of its messages goes to the room.
func (s *service) serve(ctx context.Context, c *ws.Conn) error {
	s.enter(c)
	defer s.leave(c)
	for {
		typ, p, err := c.Read()
		if err != nil {
			return err
		}
		_, span := startWork(ctx, s.tracer, c, "message")
		s.post(typ, append([]byte(c.Principal().Subject+": "), p...))
		span.End()
	}
}

func (s *service) enter(c *ws.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
}

func (s *service) leave(c *ws.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// post queues a message for everyone; a slow reader delays none of the others.
func (s *service) post(typ websocket.MessageType, p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Send(typ, p) // an error is the end of that connection
	}
}
