package stores

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/securews/securews/internal/testissuer"
	"github.com/securews/securews/internal/testprocess"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
)

// The environment of a server process.
const (
	storeVariable = "SECUREWS_STORES_STORE" // the address of its store
	keysVariable  = "SECUREWS_STORES_KEYS"  // of the issuer of tokens
)

const recheck = time.Second

// serve is a server process.
func serve(address string) int {
	return testprocess.Serve(func(origin string) (*http.Server, error) {
		h, err := newSite(address, origin)
		return middleware.NewServer("", h), err
	})
}

func newSite(address, origin string) (http.Handler, error) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	store, _, err := open(address)
	if err != nil {
		return nil, err
	}
	sessions, err := session.New(session.Config{Store: store, StoreTimeout: 10 * time.Second, DangerouslyAllowLocalHTTP: true})
	if err != nil {
		return nil, err
	}
	list, err := session.NewRevocations(store)
	if err != nil {
		return nil, err
	}
	tokens, err := bearer.New(bearer.Config{
		Issuer: testissuer.Name, Audience: []string{testissuer.Audience},
		Keys: []byte(os.Getenv(keysVariable)), Revocations: list, Sessions: sessions,
	})
	if err != nil {
		return nil, err
	}
	auth, err := middleware.NewAuth(sessions, tokens)
	if err != nil {
		return nil, err
	}
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{
		Allow:        []string{origin},
		AllowMissing: true, DangerouslyAllowLocalHTTP: true,
	})
	if err != nil {
		return nil, err
	}
	registry, err := live.New(live.Config{Timeouts: live.Timeouts{Recheck: recheck}})
	if err != nil {
		return nil, err
	}
	socket, err := ws.New(ws.Config{Origins: origins, Auth: auth, Live: registry, Serve: echo, DangerouslyAllowPlaintext: true})
	if err != nil {
		return nil, err
	}
	return sessions.Handler(routes(sessions, list, auth, socket)), nil
}

func routes(m *session.Manager, list middleware.Revocations, auth *middleware.Auth, socket http.Handler) http.Handler {
	mux := http.NewServeMux()
	do := func(path string, fn func(r *http.Request) error) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			if err := fn(r); err != nil {
				middleware.Refuse(w, r, err)
			}
		})
	}
	do("/login", func(r *http.Request) error {
		return m.Login(r.Context(), session.Identity{Subject: r.FormValue("user")})
	})
	do("/logout", func(r *http.Request) error { return m.Logout(r.Context()) })
	do("/others", func(r *http.Request) error { return m.LogoutOthers(r.Context()) })
	do("/everywhere", func(r *http.Request) error { return m.LogoutEverywhere(r.Context(), r.FormValue("user")) })
	do("/end", func(r *http.Request) error { return m.End(r.Context(), r.FormValue("user"), r.FormValue("handle")) })
	do("/revoke", func(r *http.Request) error {
		return list.Revoke(r.Context(), middleware.Revocation{
			Issuer: r.FormValue("issuer"), Subject: r.FormValue("user"),
			TokenHandle: r.FormValue("token"), SessionHandle: r.FormValue("session"),
		})
	})
	mux.Handle("GET /me", auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := middleware.FromContext(r.Context())
		_ = json.NewEncoder(w).Encode(me{p.Subject, p.SessionHandle, p.TokenHandle})
	})))
	mux.Handle("/ws", socket)
	return mux
}

// me is the answer of /me.
type me struct{ Subject, SessionHandle, TokenHandle string }

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
