package main

import (
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/browser"
	"github.com/securews/securews/ws/seal"
)

// app is the program between its configuration and its server.
type app struct {
	log      *slog.Logger
	accounts *accounts
	hub      *hub
	vault    *hub // of the sealed connections
	issuer   *issuer
	sessions *session.Manager
	gate     gate
	page     *page
	sockets  sockets
	registry *live.Registry // of all sockets
}

// newSessions is apart from newApp, because sessions may outlive the rest: in earnest
// their store does.
func newSessions(origins []string, log *slog.Logger) (*session.Manager, error) {
	return session.New(session.Config{
		// One issuer name for cookie and token: alice is the same principal by either.
		Issuer: origins[0],
		// Chatting counts as using the session: without it people who chat for half an
		// hour would be signed out by the idle time-out.
		ConnectionsExtendIdle: true,
		Log:                   log,
	})
}

func newApp(origins []string, people *accounts, sessions *session.Manager, limits bounds, log *slog.Logger) (*app, error) {
	a := &app{log: log, accounts: people, sessions: sessions, hub: newHub(), vault: newVault()}
	var err error
	if a.registry, err = newRegistry(log); err != nil {
		return nil, err
	}
	if a.issuer, err = newIssuer(origins[0]); err != nil {
		return nil, err
	}
	tokens, err := a.issuer.authenticator(a.sessions)
	if err != nil {
		return nil, err
	}
	if a.gate, err = newGate(origins, a.sessions, tokens, limits); err != nil {
		return nil, err
	}
	if a.page, err = newPage(a.visitor); err != nil {
		return nil, err
	}
	a.sockets, err = a.newSockets(tokens)
	return a, err
}

// newRegistry owns the sockets of all routes. The demo is also the target of load tests:
// thousands of sockets, all of one account and one address. A real deployment keeps the
// defaults, 64 for each account and a tenth of all for each address.
func newRegistry(log *slog.Logger) (*live.Registry, error) {
	const most = 15_000
	return live.New(live.Config{
		Limits: live.Limits{Connections: most, PerPrincipal: most, PerAddress: most},
		Log:    log,
	})
}

// routes is the whole chain, outermost first.
func (a *app) routes() http.Handler {
	r := chi.NewRouter()
	r.Use(
		middleware.AccessLog(a.log),
		middleware.Recover(a.log),
		a.gate.headers.Handler,     // on refusals and on the 101 too
		middleware.RequireTLS(nil), // no proxy in front: only TLS to this process counts
		a.gate.hosts.Handler,       // DNS rebinding
	)
	r.Handle("/ready", a.registry.Ready()) // for a load balancer
	r.Get("/.well-known/jwks.json", a.issuer.serveKeys)
	r.Get("/assets/*", a.page.serveAsset)
	r.Handle(browser.Root+"*", browser.Handler())
	r.With(a.gate.cors).Handle(seal.DirectoryPath, a.sockets.keys)
	// The end of the chain. TLS, host and origin are asked here again, so that it is as
	// safe without the layers above; what costs more comes after them.
	r.With(a.gate.handshakes.Handler).Handle(wsPath, a.sockets.ws)
	for path, h := range map[string]*ws.Handler{socketPath: a.sockets.socket, sealedPath: a.sockets.sealed} {
		r.With(h.ExplainRefusals, a.gate.handshakes.Handler).Handle(path, h) // the page can say why
	}

	r.Group(func(r chi.Router) {
		r.Use(a.sessions.Handler, a.gate.origins.Handler) // CSRF: unsafe methods from our own pages only
		r.With(a.page.headers.Handler).Get("/", a.page.serveDocument)
		r.With(a.gate.logins.Handler).Post("/login", a.login)
		r.With(a.gate.cookie.Handler).Post("/logout", a.logout)
		r.With(a.gate.either.Handler).Get("/api/me", a.me)
		// By the cookie only: a token that could fetch the next one would never end.
		r.With(a.gate.cookie.Handler).Post("/api/token", a.issuer.serveToken)
	})

	r.Group(func(r chi.Router) {
		// Pages elsewhere read the refusal of the limit, too, and their preflights are not
		// counted. What costs more comes after it.
		r.Use(a.gate.cors, a.gate.tickets.Handler, a.sessions.Handler, a.gate.origins.Handler, a.gate.either.Handler)
		r.Handle("/ticket", a.sockets.tickets.Issue())
		r.Handle("/ticket/sealed", a.sockets.sealedTickets.Issue())
	})
	return r
}
