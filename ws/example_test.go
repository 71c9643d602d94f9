package ws_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
)

// A chain that ends in a WebSocket. The same layers stand in front of the REST route; those
// that ws.New has in itself need not be repeated before it.
func ExampleNew() {
	log := slog.New(slog.DiscardHandler)
	var (
		headers  = must(middleware.NewHeaders(middleware.HeadersConfig{}))
		origins  = must(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}}))
		sessions = must(session.New(session.Config{}))
		tokens   = must(bearer.New(bearer.Config{
			Issuer: "https://id.example", Audience: []string{"app"}, Discovery: true,
			HTTPClient: idExample, // it is not there; leave this out
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

	mux := http.NewServeMux()
	mux.Handle("GET /api/me", auth.Handler(http.HandlerFunc(me))) // the same layers on REST routes
	mux.Handle("POST /login", signIn(sessions))
	mux.Handle("GET /ws", socket)                              // the chain ends in the upgrade
	srv := middleware.NewServer(":8443", middleware.Chain(mux, // outermost first
		middleware.AccessLog(log), middleware.Recover(log), headers.Handler, origins.Handler, sessions.Handler))

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

// A public feed that only pushes. Any page may listen, because it opens without a
// credential.
func ExampleNew_publicFeed() {
	anyone, err := middleware.NewAuth(middleware.Anonymous())
	if err != nil {
		log.Fatal(err)
	}
	feed, err := ws.New(ws.Config{
		Origins: middleware.DangerouslyAnyOrigin(),
		Auth:    anyone,
		Live:    must(live.New(live.Config{})),
		Log:     slog.New(slog.DiscardHandler),
		Serve: func(_ context.Context, c *ws.Conn) error {
			for i := range 3 {
				if err := c.WriteJSON(map[string]int{"tick": i}); err != nil {
					return err
				}
			}
			return nil // closes with 1000
		},
	})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.Handle("GET /feed", feed)

	srv := httptest.NewTLSServer(mux)
	defer srv.Close()
	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, srv.URL+"/feed", &websocket.DialOptions{HTTPClient: srv.Client()})
	if err != nil {
		log.Fatal(err)
	}
	for {
		_, p, err := c.Read(ctx)
		if err != nil {
			fmt.Println("closed with", int(websocket.CloseStatus(err)))
			break
		}
		fmt.Printf("%s\n", p)
	}
	// Output:
	// {"tick":0}
	// {"tick":1}
	// {"tick":2}
	// closed with 1000
}

// New names every mistake of a configuration at once.
func ExampleNew_mistakes() {
	_, err := ws.New(ws.Config{
		Subprotocols: []string{"chat v1"},
		Limits:       ws.Limits{Message: -1},
	})
	fmt.Println(err)
	// Output:
	// ws: Origins: nil: a handshake is a GET that no CSRF layer guards; name the pages that may open it
	// ws: Auth: nil: name who may connect, or middleware.Anonymous()
	// ws: Serve: nil: nothing would run the connection
	// ws: Live: nil: nothing would bound and end the connections; set live.New(live.Config{}), one for all handlers
	// ws: Subprotocols: "chat v1" is not a token (RFC 6455 §4.1)
	// ws: Limits.Message: -1 is negative; 0 is the default, 65536, and there is no unlimited
}
