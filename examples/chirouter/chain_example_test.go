package chirouter_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
)

// A chain that ends in a WebSocket. The same layers stand in front of the REST route; those
// that ws.New has in itself need not be repeated before it.
func Example() {
	log := slog.New(slog.DiscardHandler)
	var (
		headers  = must(middleware.NewHeaders(middleware.HeadersConfig{}))
		origins  = must(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}}))
		sessions = must(session.New(session.Config{}))
		tokens   = must(bearer.New(bearer.Config{
			Issuer: "https://id.example", Audience: []string{"app"},
			Keys: issuerKeys, // in production Discovery, or JWKS, the URL
		}))
		auth     = must(middleware.NewAuth(sessions, tokens)) // exactly one of them
		registry = must(live.New(live.Config{Log: log}))
		socket   = must(ws.New(ws.Config{
			Origins: origins, Auth: auth, Live: registry, Log: log,
			Serve: func(_ context.Context, c *ws.Conn) error {
				for {
					typ, p, err := c.Read()
					if err != nil {
						return err
					}
					if err := c.Write(typ, p); err != nil {
						return err
					}
				}
			},
		}))
	)
	defer func() { _ = tokens.Close() }()

	r := chi.NewRouter()
	r.Use(middleware.AccessLog(log), headers.Handler, origins.Handler, sessions.Handler)
	r.With(auth.Handler).Get("/api/me", me) // the same layers on REST routes
	r.Post("/login", signIn(sessions))
	r.Handle("/ws", socket) // the chain ends in the upgrade

	srv := middleware.NewServer(":8443", r)
	visit(srv, registry)
	// Output:
	// GET /api/me without a credential: 401
	// an unsigned token: 401
	// signed in: 204
	// GET /api/me: 200 alice
	// a socket of https://evil.example: 403
	// a socket of https://app.example: 101
	// echoed: hello
	// on shutdown: 1012 restart
}

func me(w http.ResponseWriter, r *http.Request) {
	p, _ := middleware.FromContext(r.Context())
	_, _ = io.WriteString(w, p.Subject)
}

// signIn stands for a form with a password.
func signIn(sessions *session.Manager) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Login(r.Context(), session.Identity{Subject: "alice"}); err != nil {
			middleware.Refuse(w, r, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}
