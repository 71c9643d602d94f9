package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/centrifugal/centrifuge"
	"github.com/coder/websocket"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/jwtauth/v5"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
)

// contender is a service with login, logout and echoing sockets: /ws for the session of a page,
// /token for an access token.
type contender struct {
	server *httptest.Server
	token  string // of the issuer that the service trusts, without exp
	stop   func(context.Context) error
	hello  string // first message of a client; none: the socket echoes at once
	ask    string // a message with an answer
	large  string // one of 1 MiB

	returned chan struct{} // the handler of a socket has
	early    bool          // at the upgrade, and not when the socket ends
}

// serving serves the handler over TLS. Each return of the handler of /ws is told.
func serving(t *testing.T, h http.Handler) (s *httptest.Server, returned chan struct{}) {
	t.Helper()
	returned = make(chan struct{}, 10)
	s = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		if r.URL.Path == "/ws" {
			returned <- struct{}{}
		}
	}))
	t.Cleanup(s.Close)
	return s, returned
}

// byHand puts scs and jwtauth in front of a socket, as their documentation does.
func byHand(t *testing.T, socket http.Handler) *contender {
	t.Helper()
	sessions := scs.New()
	sessions.IdleTimeout = 20 * time.Minute // as the example of its README
	sessions.Cookie.Secure = true
	tokens := jwtauth.New("HS256", []byte("a secret of thirty-two bytes or more"), nil)
	_, token, err := tokens.Encode(map[string]any{"sub": "alice"})
	if err != nil {
		t.Fatal(err)
	}
	r := chi.NewRouter()
	r.Group(func(r chi.Router) {
		r.Use(jwtauth.Verifier(tokens), jwtauth.Authenticator(tokens))
		r.Handle("/token", socket)
	})
	r.Group(func(r chi.Router) {
		r.Use(sessions.LoadAndSave)
		r.Post("/login", func(_ http.ResponseWriter, r *http.Request) {
			if err := sessions.RenewToken(r.Context()); err != nil {
				t.Error(err)
			}
			sessions.Put(r.Context(), "user", "alice")
		})
		r.Post("/logout", func(_ http.ResponseWriter, r *http.Request) {
			if err := sessions.Destroy(r.Context()); err != nil {
				t.Error(err)
			}
		})
		signedIn := func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if sessions.GetString(r.Context(), "user") == "" {
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
		r.With(signedIn).Handle("/ws", socket)
		r.With(signedIn).Get("/me", func(http.ResponseWriter, *http.Request) {})
	})
	s, returned := serving(t, r)
	return &contender{server: s, returned: returned, token: token, stop: s.Config.Shutdown, ask: "hello", large: megabyte}
}

func withCoder(t *testing.T) *contender {
	return byHand(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // it has answered
		}
		defer c.CloseNow()
		for err == nil {
			var kind websocket.MessageType
			var message []byte
			if kind, message, err = c.Read(context.WithoutCancel(r.Context())); err == nil {
				err = c.Write(context.WithoutCancel(r.Context()), kind, message)
			}
		}
	}))
}

func withGorilla(t *testing.T) *contender {
	return byHand(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := (&gorilla.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			return // it has answered
		}
		defer c.Close()
		for err == nil {
			var kind int
			var message []byte
			if kind, message, err = c.ReadMessage(); err == nil {
				err = c.WriteMessage(kind, message)
			}
		}
	}))
}

func withGws(t *testing.T) *contender {
	up := gws.NewUpgrader(&gwsEvents{ended: func(error) {}}, &gws.ServerOption{})
	s := byHand(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := up.Upgrade(w, r); err == nil { // otherwise it has answered
			go c.ReadLoop()
		}
	}))
	s.early = true
	return s
}

func withCentrifuge(t *testing.T) *contender {
	t.Helper()
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		t.Fatal(err)
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: "alice"}}, nil
	})
	node.OnConnect(func(c *centrifuge.Client) {
		c.OnRPC(func(e centrifuge.RPCEvent, reply centrifuge.RPCCallback) {
			reply(centrifuge.RPCReply{Data: e.Data}, nil)
		})
	})
	if err := node.Run(); err != nil {
		t.Fatal(err)
	}
	s := byHand(t, centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{}))
	s.stop, s.early = node.Shutdown, true
	s.hello = `{"id":1,"connect":{}}`
	s.ask, s.large = `{"id":2,"rpc":{"data":1}}`, fmt.Sprintf(`{"id":3,"rpc":{"data":%q}}`, megabyte)
	return s
}

func withSecurews(t *testing.T) *contender {
	t.Helper()
	var h http.Handler
	s, returned := serving(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	public, private, _ := ed25519.GenerateKey(nil)
	keys := fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":%q}]}`, base64.RawURLEncoding.EncodeToString(public))
	claims := fmt.Sprintf(`{"iss":%q,"aud":"app","sub":"alice","client_id":"page","jti":"1","iat":%d}`, s.URL, time.Now().Unix())
	token := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","kid":"k","typ":"at+jwt"}`)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(claims))
	token += "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(private, []byte(token)))

	quiet := slog.New(slog.DiscardHandler)
	sessions := made(session.New(session.Config{Log: quiet}))(t)
	tokens := made(bearer.New(bearer.Config{Issuer: s.URL, Audience: []string{"app"}, Keys: []byte(keys), Log: quiet}))(t)
	auth := made(middleware.NewAuth(sessions, tokens))(t)
	origins := made(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{s.URL}}))(t)
	registry := made(live.New(live.Config{Log: quiet}))(t)
	serve := func(_ context.Context, c *ws.Conn) error {
		for {
			kind, message, err := c.Read()
			if err == nil {
				err = c.Write(kind, message)
			}
			if err != nil {
				return err
			}
		}
	}
	socket := made(ws.New(ws.Config{Origins: origins, Auth: auth, Live: registry, Log: quiet, Serve: serve}))(t)
	r := chi.NewRouter()
	r.Use(origins.Handler, sessions.Handler)
	r.Post("/login", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Login(r.Context(), session.Identity{Subject: "alice"}); err != nil {
			middleware.Refuse(w, r, err)
		}
	})
	r.Post("/logout", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Logout(r.Context()); err != nil {
			middleware.Refuse(w, r, err)
		}
	})
	r.Handle("/ws", socket)
	r.Handle("/token", socket)
	r.With(auth.Handler).Get("/me", func(http.ResponseWriter, *http.Request) {})
	h = r
	stop := func(ctx context.Context) error { return registry.Shutdown(ctx, s.Config) }
	return &contender{server: s, returned: returned, early: true, token: token, stop: stop, ask: "hello", large: megabyte}
}

func made[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
