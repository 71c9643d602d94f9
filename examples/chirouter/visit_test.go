package chirouter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware/live"
)

// issuerKeys is the key of RFC 7515 A.3.1 as a key set.
var issuerKeys = []byte(`{"keys":[{"kty":"EC","kid":"1","crv":"P-256",
	"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`)

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// visitor is a browser with a page of https://app.example.
type visitor struct {
	*http.Client
	url string
}

// serve serves with a certificate for tests.
func serve(srv *http.Server) (v visitor, stop func()) {
	ts := httptest.NewUnstartedServer(nil)
	ts.Config = srv
	ts.StartTLS()
	v = visitor{ts.Client(), ts.URL}
	v.Jar = must(cookiejar.New(nil))
	return v, ts.Close
}

// visit sends the requests of a page to the chain, and shuts it down.
func visit(srv *http.Server, registry *live.Registry) {
	v, stop := serve(srv)
	defer stop()
	fmt.Println("GET /api/me without a credential:", v.ask("GET", "/api/me", ""))
	fmt.Println("an unsigned token:", v.ask("GET", "/api/me", "Bearer e30.e30.AA"))
	fmt.Println("signed in:", v.ask("POST", "/login", ""))
	fmt.Println("GET /api/me:", v.ask("GET", "/api/me", ""))
	for _, origin := range []string{"https://evil.example", "https://app.example"} {
		c, status := v.dial(origin)
		fmt.Printf("a socket of %s: %d\n", origin, status)
		if c != nil {
			echoUntilShutdown(c, srv, registry)
		}
	}
}

func echoUntilShutdown(c *websocket.Conn, srv *http.Server, registry *live.Registry) {
	ctx := context.Background()
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	_, p, err := c.Read(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("echoed: %s\n", p)
	ctx, cancel := context.WithTimeout(ctx, time.Second) // longer for many connections
	defer cancel()
	shut := make(chan error, 1)
	go func() { shut <- registry.Shutdown(ctx, srv) }() // main calls it when the process is told to stop
	_, _, err = c.Read(ctx)
	var end websocket.CloseError
	errors.As(err, &end)
	fmt.Println("on shutdown:", int(end.Code), end.Reason)
	if err := <-shut; err != nil {
		log.Fatal(err)
	}
}

// ask returns the status and, of an answer below 400, the text.
func (v visitor) ask(method, path, authorization string) string {
	r := must(http.NewRequest(method, v.url+path, nil))
	r.Header.Set("Origin", "https://app.example")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	res := must(v.Do(r))
	defer func() { _ = res.Body.Close() }()
	text := ""
	if res.StatusCode < 400 {
		text = string(must(io.ReadAll(res.Body)))
	}
	return strings.TrimSpace(fmt.Sprint(res.StatusCode, " ", text))
}

// dial opens a socket, or returns nil and the status of the refusal.
func (v visitor) dial(origin string, subprotocols ...string) (*websocket.Conn, int) {
	c, res, err := websocket.Dial(context.Background(), v.url+"/ws", &websocket.DialOptions{
		HTTPClient: v.Client, HTTPHeader: http.Header{"Origin": {origin}}, Subprotocols: subprotocols,
	})
	if res == nil {
		log.Fatal(err)
	}
	return c, res.StatusCode
}
