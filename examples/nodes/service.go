package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/coder/websocket"
	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/redis"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
)

// settings are those of one node.
type settings struct {
	Name   string // that its sockets and streams begin with
	Redis  string // host:port
	Prefix string // of the keys there
	Origin string // that clients see
	Keys   string // of the issuer of tokens
}

// service is what each node serves.
type service struct {
	settings
	sessions *session.Manager
	registry *live.Registry
	handler  http.Handler
}

func newService(set settings) (*service, error) {
	shared, err := redis.New(redis.Config{Options: &goredis.UniversalOptions{Addrs: []string{set.Redis}}, Prefix: set.Prefix})
	if err != nil {
		return nil, err
	}
	s := &service{settings: set}
	if s.sessions, err = session.New(session.Config{Store: shared.Sessions()}); err != nil {
		return nil, err
	}
	tokens, err := bearer.New(bearer.Config{
		Issuer: tokenIssuer, Audience: []string{tokenAudience}, Keys: []byte(set.Keys), Revocations: s.sessions.Revocations(),
	})
	if err != nil {
		return nil, err
	}
	auth, errAuth := middleware.NewAuth(s.sessions, tokens)
	origins, errOrigins := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{set.Origin}, AllowMissing: true})
	proxies, errProxies := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"127.0.0.1"}})
	if err := errors.Join(errAuth, errOrigins, errProxies); err != nil {
		return nil, err
	}
	if s.registry, err = live.New(live.Config{Proxies: proxies}); err != nil {
		return nil, err
	}
	tickets, err := ticket.New(ticket.Config{Auth: auth, Path: "/socket", Origins: origins, Store: shared.Tickets()})
	if err != nil {
		return nil, err
	}
	byTicket, err := middleware.NewAuth(tickets)
	if err != nil {
		return nil, err
	}
	cfg := ws.Config{Origins: origins, Proxies: proxies, Auth: auth, Live: s.registry, Serve: s.echo}
	direct, err := ws.New(cfg)
	if err != nil {
		return nil, err
	}
	cfg.Auth, cfg.Subprotocols = byTicket, []string{subprotocol}
	withTicket, err := ws.New(cfg)
	if err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	mux.Handle("GET /ws", direct)
	mux.Handle("GET /socket", withTicket)
	mux.Handle("POST /ticket", tickets.Issue())
	mux.Handle("GET /me", auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	mux.Handle("GET /stream", auth.Handler(s.registry.Handler(http.HandlerFunc(s.stream))))
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("POST /logout", do(s.sessions.Logout))
	mux.Handle("POST /everywhere", auth.Handler(do(s.everywhere)))
	outer := http.NewServeMux()
	outer.Handle("GET /ready", s.registry.Ready(shared.Ready)) // for the proxy itself, without TLS
	outer.Handle("/", middleware.Chain(mux, proxies.Handler, middleware.AccessLog(nil), middleware.Recover(nil),
		middleware.RequireTLS(proxies), origins.Handler, s.sessions.Handler))
	s.handler = outer
	return s, nil
}

// do answers with what fn returns.
func do(fn func(context.Context) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := fn(r.Context()); err != nil {
			middleware.Refuse(w, r, err)
		}
	}
}

// login takes the user's word for it. A real one asks for a password.
func (s *service) login(w http.ResponseWriter, r *http.Request) {
	if err := s.sessions.Login(r.Context(), session.Identity{Subject: r.FormValue("user")}); err != nil {
		middleware.Refuse(w, r, err)
	}
}

// everywhere ends all sessions of the user, or all tokens: that depends on the credential with
// which the user asks.
func (s *service) everywhere(ctx context.Context) error {
	p, _ := middleware.FromContext(ctx)
	if p.Issuer == tokenIssuer {
		return s.sessions.Revocations().Revoke(ctx, middleware.Revocation{Issuer: p.Issuer, Subject: p.Subject})
	}
	return s.sessions.LogoutEverywhere(ctx, p.Subject)
}

// echo says which node it is, and then repeats each message.
func (s *service) echo(_ context.Context, c *ws.Conn) error {
	if err := c.Write(websocket.MessageText, []byte(s.Name)); err != nil {
		return err
	}
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

// stream is an event stream that says which node it is.
func (s *service) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, "data: "+s.Name+"\n\n")
	if err := http.NewResponseController(w).Flush(); err != nil {
		slog.Warn("the stream", "error", err)
		return
	}
	<-r.Context().Done()
}
