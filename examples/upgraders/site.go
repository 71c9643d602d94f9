package main

import (
	"cmp"
	"log/slog"
	"net/http"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
)

// site is the chain of layers that stands in front of every route.
type site struct {
	sessions *session.Manager
	registry *live.Registry
	auth     *middleware.Auth
	mux      *http.ServeMux
	outer    []middleware.Middleware
}

func newSite(origin string, sessionConfig session.Config, liveConfig live.Config, log *slog.Logger) (*site, error) {
	sessions, err := session.New(sessionConfig)
	if err != nil {
		return nil, err
	}
	auth, err := middleware.NewAuth(sessions)
	if err != nil {
		return nil, err
	}
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{
		Allow:                     []string{origin},
		DangerouslyAllowLocalHTTP: sessionConfig.DangerouslyAllowLocalHTTP,
	})
	if err != nil {
		return nil, err
	}
	registry, err := live.New(liveConfig)
	if err != nil {
		return nil, err
	}
	headers, err := middleware.NewHeaders(middleware.HeadersConfig{})
	if err != nil {
		return nil, err
	}
	s := &site{
		sessions: sessions, registry: registry, auth: auth, mux: http.NewServeMux(),
		outer: []middleware.Middleware{
			middleware.AccessLog(log), middleware.Recover(log), headers.Handler, origins.Handler, sessions.Handler,
		},
	}
	s.mux.HandleFunc("POST /login", s.login)
	s.mux.HandleFunc("POST /logout", s.logout)
	return s, nil
}

// bind mounts a handler at a route: its responses end with the session that opened them.
func (s *site) bind(route string, h http.Handler) {
	s.mux.Handle(route, middleware.Chain(h, s.auth.Handler, s.registry.Handler))
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	middleware.Chain(s.mux, s.outer...).ServeHTTP(w, r)
}

func (s *site) login(w http.ResponseWriter, r *http.Request) {
	user := cmp.Or(r.FormValue("user"), "alice") // a real site checks a password here
	if err := s.sessions.Login(r.Context(), session.Identity{Subject: user}); err != nil {
		middleware.Refuse(w, r, err)
	}
}

func (s *site) logout(w http.ResponseWriter, r *http.Request) {
	if err := s.sessions.Logout(r.Context()); err != nil {
		middleware.Refuse(w, r, err)
	}
}
