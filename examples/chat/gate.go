package main

import (
	"context"
	"net/http"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/ticket"
)

// gate holds the policies between the internet and the handlers. REST routes and
// handshakes share them.
type gate struct {
	headers    *middleware.Headers
	hosts      *middleware.HostPolicy
	origins    *middleware.OriginPolicy
	cors       middleware.Middleware // pages at our other origins may read these answers
	either     *middleware.Auth      // the session's cookie, or a bearer token; never both
	cookie     *middleware.Auth
	handshakes *middleware.RateLimit
	tickets    *middleware.RateLimit
	logins     *middleware.RateLimit
	lists      *middleware.RateLimit // of devices: each reads the whole store
	perAccount *middleware.RateLimit
	ticketLife time.Duration
}

func newGate(origins []string, sessions, tokens middleware.Authenticator, limits bounds, st state) (g gate, err error) {
	g.ticketLife = limits.ticketLife
	names, err := hosts(origins)
	if err != nil {
		return g, err
	}
	// The strict preset, because the API serves no pages. The page has its own.
	if g.headers, err = middleware.NewHeaders(middleware.HeadersConfig{}); err != nil {
		return g, err
	}
	if g.hosts, err = middleware.NewHostPolicy(names...); err != nil {
		return g, err
	}
	// AllowMissing is for native clients with a bearer token, which send no Origin. The
	// cookie is never accepted without an Origin, regardless of this setting.
	g.origins, err = middleware.NewOriginPolicy(middleware.OriginConfig{Allow: origins, AllowMissing: true})
	if err != nil {
		return g, err
	}
	// No cookies: a page of another origin has a bearer token and exchanges it for tickets.
	g.cors, err = g.origins.CORS(middleware.CORSConfig{Headers: []string{"Authorization"}, MaxAge: 10 * time.Minute})
	if err != nil {
		return g, err
	}
	if g.either, err = middleware.NewAuth(sessions, tokens); err != nil {
		return g, err
	}
	if g.cookie, err = middleware.NewAuth(sessions); err != nil {
		return g, err
	}
	if g.handshakes, err = st.perMinute("handshakes", limits.handshakesPerMinute, nil); err != nil {
		return g, err
	}
	// A page fetches a ticket for each handshake. The tickets' own limit is per principal,
	// and therefore applies only after authentication.
	if g.tickets, err = st.perMinute("tickets", limits.handshakesPerMinute, nil); err != nil {
		return g, err
	}
	if g.logins, err = st.perMinute("logins", limits.loginsPerMinute, nil); err != nil {
		return g, err
	}
	if g.lists, err = st.perMinute("lists", limits.loginsPerMinute, nil); err != nil {
		return g, err
	}
	// An attacker who knows a name can exhaust its limit and so keep its owner from signing
	// in for a while. Without the limit, many addresses could guess one account's password.
	g.perAccount, err = st.perMinute("accounts", limits.loginsPerMinute, accountOf)
	return g, err
}

// byTicket returns the tickets of a socket's route, and its Auth. The Auth does not admit
// the session's cookie: a browser sends it beside the ticket, and two credentials are
// refused.
func (g gate) byTicket(path string, store ticket.Store, tokens middleware.Authenticator) (*ticket.Tickets, *middleware.Auth, error) {
	tickets, err := ticket.New(ticket.Config{Path: path, Auth: g.either, Origins: g.origins, Lifetime: g.ticketLife, Store: store})
	if err != nil {
		return nil, nil, err
	}
	auth, err := middleware.NewAuth(tickets, tokens)
	return tickets, auth, err
}

type accountKey struct{}

// withAccount tells perAccount the account name of a login, which is in the body.
func withAccount(r *http.Request, name string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), accountKey{}, name))
}

func accountOf(r *http.Request) string {
	name, _ := r.Context().Value(accountKey{}).(string)
	return name
}
