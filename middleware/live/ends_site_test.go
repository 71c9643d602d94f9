package live_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
)

// grace is live.Timeouts.Grace of every site: within it, the client of a socket reads the close
// frame and answers it.
var grace = ifRacing(3, time.Second)

// mostOpened is how many responses a user may have at a time.
const mostOpened = 150

// siteConfig says in what one site differs from the next; zero is a default.
type siteConfig struct {
	name                              string
	store                             scs.Store
	idle, absolute, recheck, interval time.Duration
	sessionsAlone                     bool // nothing but the sessions themselves says that one has ended
}

// site is a program that accepts every kind of credential and has every kind of response,
// behind a TLS listener.
type site struct {
	*httptest.Server
	name     string
	store    scs.Store // nil: the memory of this process
	mux      *http.ServeMux
	log      *slog.Logger
	sessions *session.Manager
	issuer   *tokenIssuer
	tokens   *bearer.Authenticator
	own      *keyring
	rest     *middleware.Auth
	origins  *middleware.OriginPolicy
	live     *live.Registry
	cells    sync.Map      // by id: *cell
	users    sync.Map      // by name: *user
	interval time.Duration // between two numbers
	stop     chan struct{}
}

func newSite(t *testing.T, cfg siteConfig) *site {
	t.Helper()
	s := &site{
		name: cfg.name, store: cfg.store, mux: http.NewServeMux(),
		log: slog.New(slog.DiscardHandler), own: &keyring{}, interval: cfg.interval, stop: make(chan struct{}),
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if s.interval == 0 {
		s.interval = interval
	}
	s.Server = httptest.NewUnstartedServer(nil)
	s.Config = middleware.NewServer("", s.mux)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	s.Config.TLSConfig = nil // httptest has its own
	s.Config.WriteTimeout = 0
	s.Config.ReadHeaderTimeout, s.Config.ReadTimeout = patience, patience // a busy machine shakes many hands at once
	s.EnableHTTP2 = true
	certificate, err := newCertificate()
	must(err)
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, Certificates: []tls.Certificate{certificate}} //nolint:gosec // a test
	s.StartTLS()
	t.Cleanup(s.end)
	s.issuer = newTokenIssuer(s.URL)
	s.mux.Handle("/keys", s.issuer)
	s.sessions, err = session.New(session.Config{
		Store: cfg.store,
		Idle:  cfg.idle, Absolute: cfg.absolute, StoreTimeout: 10 * time.Second, Log: s.log,
	})
	must(err)
	must(s.authenticators(cfg))
	s.live, err = live.New(live.Config{
		Limits:   live.Limits{PerPrincipal: mostOpened},
		Timeouts: live.Timeouts{Recheck: cfg.recheck, Grace: grace, Spread: time.Millisecond}, Log: s.log,
	})
	must(err)
	s.live.WaitForReports(patience) // a sign-out otherwise returns after 1 s, although a slow machine has ended nothing yet
	s.origins, err = middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{s.URL}})
	must(err)
	must(s.routes())
	return s
}

func (s *site) authenticators(cfg siteConfig) (err error) {
	tokens := bearer.Config{
		Issuer: s.issuer.name, Audience: []string{s.URL}, JWKS: s.URL + "/keys", HTTPClient: s.Client(), Log: s.log,
		Sessions: s.sessions, Revocations: s.sessions.Revocations(),
		Leeway: 1, Refresh: refresh, CoolDown: time.Second,
	}
	if cfg.sessionsAlone {
		tokens.Revocations = nil
	}
	if s.tokens, err = bearer.New(tokens); err != nil {
		return err
	}
	list := []middleware.Authenticator{s.sessions, s.tokens, middleware.WithRevocations(s.own, s.sessions.Revocations())}
	if cfg.sessionsAlone {
		list = list[:2]
	}
	s.rest, err = middleware.NewAuth(list...)
	return err
}

// end ends the handlers, then all that they have left open, then the server.
func (s *site) end() {
	close(s.stop)
	if s.live != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = s.live.Shutdown(ctx)
		_ = s.tokens.Close()
	}
	s.CloseClientConnections()
	s.Close()
}

// routes mounts all responses behind the Auth of sessions, tokens and keys, and the sockets
// once more behind tickets.
func (s *site) routes() error {
	s.signInRoutes()
	for path, h := range map[string]http.HandlerFunc{
		"/rest": s.serveREST, "/events": s.serveEvents, "/poll": s.servePoll, "/download": s.serveDownload, "/wire": s.serveWire,
	} {
		s.mux.Handle(path, s.sessions.Handler(s.origins.Handler(s.rest.Handler(s.live.Handler(h)))))
	}
	socket, err := s.socket(s.rest)
	if err != nil {
		return err
	}
	s.mux.Handle("/ws", s.sessions.Handler(socket))
	for _, path := range []string{"/ws", "/wire"} {
		tickets, err := ticket.New(ticket.Config{Auth: s.rest, Path: "/ticket" + path, Origins: s.origins})
		if err != nil {
			return err
		}
		auth, err := middleware.NewAuth(tickets)
		if err != nil {
			return err
		}
		s.mux.Handle("/issue"+path, tickets.Issue())
		if path == "/wire" {
			s.mux.Handle("/ticket"+path, s.origins.Handler(auth.Handler(s.live.Handler(http.HandlerFunc(s.serveWire)))))
			continue
		}
		socket, err := s.socket(auth)
		if err != nil {
			return err
		}
		s.mux.Handle("/ticket"+path, socket)
	}
	return nil
}

func (s *site) socket(auth *middleware.Auth) (http.Handler, error) {
	return ws.New(ws.Config{
		Origins: s.origins, Auth: auth, Live: s.live, Log: s.log, Serve: s.serveSocket,
		Authorize: func(r *http.Request, _ middleware.Principal) (any, error) { return s.cellOf(r), nil },
		Limits:    ws.Limits{MessagesPerSecond: 10_000},
		Timeouts:  ws.Timeouts{Close: patience},
	})
}

var errDisabled = errors.New("the user is disabled")

// signInRoutes mounts what an application does with sessions. Each answers after the call has
// returned, and says so to the user's test first.
func (s *site) signInRoutes() {
	for path, fn := range map[string]func(r *http.Request, u *user) error{
		"/login": func(r *http.Request, u *user) error {
			if u.disabled.Load() {
				return middleware.Forbidden(errDisabled)
			}
			return s.sessions.Login(r.Context(), session.Identity{
				Subject: u.name, Provider: session.ProviderSignIn{Issuer: provider, Subject: u.name, SessionID: u.name},
			})
		},
		"/touch": func(*http.Request, *user) error { return nil },
		"/logout": func(r *http.Request, u *user) error {
			defer u.acknowledge()
			return s.sessions.Logout(r.Context())
		},
		"/others": func(r *http.Request, u *user) error {
			defer u.acknowledge()
			return s.sessions.LogoutOthers(r.Context())
		},
	} {
		s.mux.Handle(path, s.origins.Handler(s.sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			u, _ := s.users.Load(r.URL.Query().Get("user"))
			if err := fn(r, u.(*user)); err != nil {
				middleware.Refuse(w, r, err)
				return
			}
			p, _ := s.sessions.Authenticate(r)
			_, _ = fmt.Fprint(w, p.SessionHandle)
		}))))
	}
}

// cellOf returns the cell that a request names.
func (s *site) cellOf(r *http.Request) *cell {
	c, _ := s.cells.Load(r.URL.Query().Get("cell"))
	return c.(*cell)
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
