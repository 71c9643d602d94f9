package main

import (
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"

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
	state    state
	proxies  *middleware.Proxies // in front; nil: none
	accounts *accounts
	hub      *hub
	vault    *hub // of the sealed connections
	issuer   *issuer
	sessions *session.Manager
	gate     gate
	page     *page
	sockets  sockets
	registry *live.Registry // of all sockets
	storm    *storm         // nil: this program does not restart itself
	stop     func()         // following other nodes
}

// newSessions is separate from newApp because sessions may outlive the rest of the
// program: in a real deployment their store does.
func newSessions(origins []string, st state, log *slog.Logger) (*session.Manager, error) {
	return session.New(session.Config{
		Store: st.sessions(),
		// One issuer name for cookie and token: alice is the same principal with either.
		Issuer: origins[0],
		// An open chat counts as use of the session: without this, the idle time-out
		// would sign out users who chat for half an hour.
		ConnectionsExtendIdle: true,
		Log:                   log,
	})
}

func newApp(origins []string, proxies *middleware.Proxies, people *accounts,
	sessions *session.Manager, st state, limits bounds, log *slog.Logger,
) (*app, error) {
	a := &app{log: log, state: st, proxies: proxies, accounts: people, sessions: sessions, hub: newHub(), vault: newVault()}
	a.hub.beside, a.vault.beside = a.vault, a.hub
	var err error
	if a.registry, err = newRegistry(log); err != nil {
		return nil, err
	}
	if a.issuer, err = newIssuer(origins[0], st.secret); err != nil {
		return nil, err
	}
	tokens, err := a.issuer.authenticator(a.sessions)
	if err != nil {
		return nil, err
	}
	if a.gate, err = newGate(origins, a.sessions, tokens, limits, st); err != nil {
		return nil, err
	}
	if a.page, err = newPage(a.visitor); err != nil {
		return nil, err
	}
	if a.sockets, err = a.newSockets(tokens); err != nil {
		return nil, err
	}
	a.stop = a.followOthers()
	return a, nil
}

// newRegistry returns the owner of the sockets of all routes. The demo is also the target
// of load tests with thousands of sockets of one account and one address. A real
// deployment keeps the defaults: 64 for each account, and for each address a tenth of the
// total.
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
		chimiddleware.GetHead, // HEAD wherever there is GET (RFC 9110 §9.3.2)
		a.proxies.Handler,     // the layers within know the client's address by it
		middleware.AccessLog(a.log),
		middleware.Recover(a.log),
		a.gate.headers.Handler,           // on refusals and on the 101 too
		middleware.RequireTLS(a.proxies), // to the proxy or, if there is none, to this process
		a.gate.hosts.Handler,             // DNS rebinding
	)
	r.Handle("/ready", a.registry.Ready(a.state.ready()...)) // for a load balancer
	r.Get("/.well-known/jwks.json", a.issuer.serveKeys)
	r.Get("/assets/*", a.page.serveAsset)
	r.Handle("/securews/*", browser.Handler())
	r.With(a.gate.cors).Handle(seal.DirectoryPath, a.sockets.keys)
	// The end of the chain. The handlers check TLS, host and origin again, so that they
	// are as safe without the layers above, and before they do any more expensive work.
	r.With(a.gate.handshakes.Handler).Handle(wsPath, a.sockets.ws)
	for path, h := range map[string]*ws.Handler{socketPath: a.sockets.socket, sealedPath: a.sockets.sealed} {
		r.With(h.ExplainRefusals, a.gate.handshakes.Handler).Handle(path, h) // the page can say why
	}

	r.Group(func(r chi.Router) {
		r.Use(a.gate.origins.Handler, a.sessions.Handler) // CSRF: unsafe methods from our own pages only
		r.With(a.page.headers.Handler).Get("/", a.page.serveDocument)
		r.With(a.gate.logins.Handler).Post("/login", a.login)
		r.With(a.gate.cookie.Handler).Post("/logout", a.logout)
		r.With(a.gate.either.Handler).Get("/api/me", a.me)
		r.Group(func(r chi.Router) {
			r.Use(a.gate.cookie.Handler)
			// With the cookie only: a token that could fetch its successor would never end.
			r.Post("/api/token", a.issuer.serveToken)
			r.With(a.gate.lists.Handler).Get("/api/devices", a.listDevices)
			r.Delete("/api/devices", a.endOthers)
			r.Delete("/api/devices/{id}", a.endDevice)
			r.Delete("/api/connections/{id}", a.endConnection)
			r.Get("/api/connections", a.listConnections)
			if a.storm != nil {
				r.With(adminsOnly).Post("/api/storm", a.storm.start)
				r.With(adminsOnly).Get("/api/storm", a.storm.serveReport)
			}
			r.With(adminsOnly).Get("/api/members", a.listMembers)
			r.With(adminsOnly).Put("/api/members/{name}", a.setMember)
		})
	})

	r.Group(func(r chi.Router) {
		// CORS comes first, so that pages of other origins can read the refusal of the
		// rate limit and their preflights are not counted. Expensive layers come last.
		r.Use(a.gate.cors, a.gate.tickets.Handler, a.gate.origins.Handler, a.sessions.Handler, a.gate.either.Handler)
		r.Handle("/ticket", a.sockets.tickets.Issue())
		r.Handle("/ticket/sealed", a.sockets.sealedTickets.Issue())
	})
	return r
}
