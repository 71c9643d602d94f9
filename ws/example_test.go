package ws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"
	"github.com/go-chi/chi/v5"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
)

// A chi router whose chain ends in a WebSocket. The same layers stand in front of
// the REST route; those that ws.New has in itself need not be repeated before it.
func ExampleNew() {
	quiet := slog.New(slog.DiscardHandler)
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}})
	if err != nil {
		log.Fatal(err)
	}
	who, err := middleware.NewAuth(middleware.Anonymous())
	if err != nil {
		log.Fatal(err)
	}
	headers, err := middleware.NewHeaders(middleware.HeadersConfig{})
	if err != nil {
		log.Fatal(err)
	}
	live, err := ws.New(ws.Config{
		Origins: origins,
		Auth:    who,
		Log:     quiet,
		Serve: func(_ context.Context, c *ws.Conn) error {
			for {
				typ, p, err := c.Read()
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
				if err := c.Write(typ, append([]byte("you said "), p...)); err != nil {
					return err
				}
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}

	r := chi.NewRouter()
	r.Use(middleware.AccessLog(quiet), headers.Handler)
	r.With(origins.Handler, who.Handler).Get("/api/me", func(w http.ResponseWriter, r *http.Request) {
		p, _ := middleware.FromContext(r.Context())
		fmt.Fprint(w, p.Method)
	})
	r.Handle("/ws", live)

	srv := httptest.NewTLSServer(r)
	defer srv.Close()
	srv.Config.RegisterOnShutdown(func() { _ = live.Drain(context.Background()) })

	ctx := context.Background()
	for _, origin := range []string{"https://evil.example", "https://app.example"} {
		c, res, err := websocket.Dial(ctx, srv.URL+"/ws", &websocket.DialOptions{
			HTTPClient: srv.Client(), HTTPHeader: http.Header{"Origin": {origin}},
		})
		fmt.Println(origin, res.StatusCode)
		if err != nil {
			continue
		}
		_ = c.Write(ctx, websocket.MessageText, []byte("hello"))
		_, p, _ := c.Read(ctx)
		fmt.Printf("%s\n", p)
		_ = c.Close(websocket.StatusNormalClosure, "")
	}
	// Output:
	// https://evil.example 403
	// https://app.example 101
	// you said hello
}

// The same on http.ServeMux: a public feed that only pushes. Any page may listen,
// because nobody's credential opens it.
func ExampleNew_serveMux() {
	anyone, err := middleware.NewAuth(middleware.Anonymous())
	if err != nil {
		log.Fatal(err)
	}
	feed, err := ws.New(ws.Config{
		Origins: middleware.DangerouslyAnyOrigin(),
		Auth:    anyone,
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
	// ws: Subprotocols: "chat v1" is not a token (RFC 6455 §4.1)
	// ws: Limits.Message: -1 is negative; 0 is the default, 65536, and there is no unlimited
}
