package redis_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/internal/testissuer"
	"github.com/securews/securews/internal/testprocess"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/redis"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
)

// settings are those of a node that the tests start as a process.
type settings struct {
	Addrs []string          // of the servers
	Via   map[string]string // the proxy in front of each; nil: none
	Keys  string            // of the issuer of tokens
	Allow []string          // further origins
	Stale bool              // trusts a credential without an answer for 2 s only
	Short bool              // uses a connection to the server for a second only
}

func (s settings) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if via, ok := s.Via[addr]; ok {
		addr = via
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}

const (
	settingsVariable = "SECUREWS_REDIS_NODE"
	issuer           = testissuer.Name
)

// serve is a node.
func serve(text string) int {
	return testprocess.Serve(func(origin string) (*http.Server, error) {
		h, err := newSite(text, origin)
		return middleware.NewServer("", h), err
	})
}

func newSite(text, origin string) (http.Handler, error) {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	faults := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	var set settings
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		return nil, err
	}
	options := &goredis.UniversalOptions{Addrs: set.Addrs, Dialer: set.dial}
	if set.Short {
		options.ConnMaxLifetime = time.Second
	}
	shared, err := redis.New(redis.Config{Options: options})
	if err != nil {
		return nil, err
	}
	sessions, err := session.New(session.Config{
		Store: shared.Sessions(), StoreTimeout: 10 * time.Second, DangerouslyAllowLocalHTTP: true,
	})
	if err != nil {
		return nil, err
	}
	list := sessions.Revocations()
	tokens, err := bearer.New(bearer.Config{
		Issuer:   issuer,
		Audience: []string{testissuer.Audience}, Keys: []byte(set.Keys), Revocations: list,
	})
	if err != nil {
		return nil, err
	}
	auth, err := middleware.NewAuth(sessions, tokens)
	if err != nil {
		return nil, err
	}
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{
		Allow:        append(set.Allow, origin),
		AllowMissing: true, DangerouslyAllowLocalHTTP: true,
	})
	if err != nil {
		return nil, err
	}
	tickets, err := ticket.New(ticket.Config{Auth: auth, Path: "/ticket-ws", Origins: origins, Store: shared.Tickets()})
	if err != nil {
		return nil, err
	}
	byTicket, err := middleware.NewAuth(tickets)
	if err != nil {
		return nil, err
	}
	config := live.Config{Limits: live.Limits{PerPrincipal: 2000, PerAddress: 2000}}
	if set.Stale {
		config.Timeouts = live.Timeouts{Recheck: 500 * time.Millisecond, Stale: 2 * time.Second}
	}
	registry, err := live.New(config)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for path, auth := range map[string]*middleware.Auth{"/ws": auth, "/ticket-ws": byTicket} {
		subprotocols := []string(nil)
		if auth == byTicket {
			subprotocols = []string{"test"}
		}
		socket, err := ws.New(ws.Config{
			Origins: origins, Auth: auth, Live: registry, Serve: echo, Subprotocols: subprotocols, DangerouslyAllowPlaintext: true,
			Timeouts: ws.Timeouts{Heartbeat: 10 * time.Minute}, // the tests read a socket only at its end
		})
		if err != nil {
			return nil, err
		}
		mux.Handle(path, socket)
	}
	do := func(path string, fn func(r *http.Request) error) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			if err := fn(r); err != nil {
				middleware.Refuse(w, r, err)
			}
		})
	}
	do("/login", func(r *http.Request) error {
		return sessions.Login(r.Context(), session.Identity{Subject: r.FormValue("user")})
	})
	do("/logout", func(r *http.Request) error { return sessions.Logout(r.Context()) })
	do("/everywhere", func(r *http.Request) error { return sessions.LogoutEverywhere(r.Context(), r.FormValue("user")) })
	do("/roles", func(r *http.Request) error {
		return sessions.SetRoles(r.Context(), r.FormValue("user"), []string{"admin"})
	})
	do("/revoke", func(r *http.Request) error {
		return list.Revoke(r.Context(), middleware.Revocation{Issuer: issuer, Subject: r.FormValue("user")})
	})
	mux.Handle("POST /ticket", tickets.Issue())
	mux.Handle("GET /me", auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	mux.Handle("GET /stream", auth.Handler(registry.Handler(http.HandlerFunc(stream))))
	mux.Handle("GET /ready", registry.Ready(shared.Ready))
	return middleware.AccessLog(faults)(sessions.Handler(mux)), nil
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

// stream is an event stream, which says nothing after its first event.
func stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, "data: hello\n\n")
	if err := http.NewResponseController(w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return
	}
	<-r.Context().Done()
}
