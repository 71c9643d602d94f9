package main

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/go-chi/chi/v5"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
)

// app is the program between its configuration and its server.
type app struct {
	log      *slog.Logger
	accounts *accounts
	hub      *hub
	issuer   *issuer
	sessions *session.Manager
	gate     gate
	page     *page
	live     *ws.Handler
	draining atomic.Bool
}

func newApp(origins []string, people *accounts, limits rateLimits, log *slog.Logger) (*app, error) {
	a := &app{log: log, accounts: people, hub: newHub()}
	var err error
	if a.issuer, err = newIssuer(origins[0]); err != nil {
		return nil, err
	}
	// One issuer name for cookie and token: alice is the same principal by either, and
	// shares one limit of connections.
	if a.sessions, err = session.New(session.Config{Issuer: origins[0], Log: log}); err != nil {
		return nil, err
	}
	tokens, err := a.issuer.authenticator(a.sessions.Revocations())
	if err != nil {
		return nil, err
	}
	if a.gate, err = newGate(origins, a.sessions, tokens, limits); err != nil {
		return nil, err
	}
	if a.page, err = newPage(a.visitor); err != nil {
		return nil, err
	}
	a.live, err = a.newLive()
	return a, err
}

// newLive is the WebSocket end of the chain.
func (a *app) newLive() (*ws.Handler, error) {
	return ws.New(ws.Config{
		Origins:  a.gate.origins,
		Hosts:    a.gate.hosts,
		Auth:     a.gate.either,
		Serve:    a.serve,
		Validate: validate,
		// Chatting counts as using the session; without it people who chat for half an
		// hour would be signed out by the idle time-out. A socket on which nothing
		// happens is closed before that, and the page does not open it again by itself.
		Revalidate:   a.sessions.Touch,
		Revocations:  a.sessions.Revocations(),
		Subprotocols: []string{subprotocol},
		Limits: ws.Limits{
			// The demo is also what load tests run against: thousands of sockets, all
			// of one account. A real deployment keeps the default of 64 a person.
			Connections:  15_000,
			PerPrincipal: 10_000,
			Message:      maxMessage,
			// People do not type faster; a program that does is told 1008 `rate`.
			MessagesPerSecond: 20,
		},
		Log: a.log,
	})
}

// routes is the whole chain, outermost first.
func (a *app) routes() http.Handler {
	r := chi.NewRouter()
	r.Use(
		middleware.AccessLog(a.log),
		a.gate.headers.Handler,     // on refusals and on the 101 too
		middleware.RequireTLS(nil), // no proxy in front: only TLS to this process counts
		a.gate.hosts.Handler,       // DNS rebinding
	)
	r.Get("/ready", a.ready)
	r.Get("/.well-known/jwks.json", a.issuer.serveKeys)
	r.Get("/assets/*", a.page.serveAsset)
	// The end of the chain. TLS, host and origin are asked here again, so that it is as
	// safe without the layers above; what costs more comes after them.
	r.With(a.gate.handshakes.Handler).Handle("/ws", a.live)

	r.Group(func(r chi.Router) {
		r.Use(a.sessions.Handler, a.gate.origins.Handler) // CSRF: unsafe methods from our own pages only
		r.With(a.page.headers.Handler).Get("/", a.page.serveDocument)
		r.With(a.gate.logins.Handler).Post("/login", a.login)
		r.With(a.gate.cookie.Handler).Post("/logout", a.logout)
		r.With(a.gate.either.Handler).Get("/api/me", a.me)
		// By the cookie only: a token that could fetch the next one would never end.
		r.With(a.gate.cookie.Handler).Post("/api/token", a.issuer.serveToken)
	})
	return r
}

// serve is one connection's life.
func (a *app) serve(_ context.Context, c *ws.Conn) error {
	me := a.hub.enter(c.Principal().Subject, c)
	defer a.hub.exit(me)
	for {
		_, p, err := c.Read() // validate has passed it
		if err != nil {
			return err
		}
		q, err := parseRequest(p)
		if err != nil {
			return err
		}
		switch q.Type {
		case "join":
			a.hub.join(me, q.Room)
		case "say":
			a.hub.say(me, q.Text)
		}
	}
}

// ready is for a load balancer: 503 as soon as the process is told to stop.
func (a *app) ready(w http.ResponseWriter, r *http.Request) {
	if a.draining.Load() {
		middleware.Refuse(w, r, &middleware.Refusal{
			Status: http.StatusServiceUnavailable, Reason: middleware.ReasonDraining,
			Header: http.Header{"Retry-After": {"5"}},
		})
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Ready bool `json:"ready"`
	}{true})
}
