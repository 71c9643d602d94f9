package redial_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
)

// echoServer answers every message.
func echoServer() (srv *httptest.Server, url string) {
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}, AllowMissing: true})
	if err != nil {
		log.Fatal(err)
	}
	who, err := middleware.NewAuth(middleware.Anonymous())
	if err != nil {
		log.Fatal(err)
	}
	registry, err := live.New(live.Config{})
	if err != nil {
		log.Fatal(err)
	}
	socket, err := ws.New(ws.Config{
		Origins: origins, Auth: who,
		Live: registry, Log: quiet, Serve: func(_ context.Context, c *ws.Conn) error {
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
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /ws", socket)
	srv = httptest.NewTLSServer(mux)
	return srv, "wss" + strings.TrimPrefix(srv.URL, "https") + "/ws"
}

// A client that reconnects until serve is done. Messages that it sends while disconnected
// are queued.
func ExampleNew() {
	srv, url := echoServer()
	defer srv.Close()

	client, err := redial.New(redial.Config{
		URL:        url,
		HTTPClient: srv.Client(), // trusts the test's certificate
		OnState: func(s redial.State) {
			if s.Phase == redial.Waiting {
				log.Printf("back in %v: %v", s.Delay, s.Cause)
			}
		},
		OnUndelivered: func(u redial.Undelivered) { log.Printf("lost: %q", u.Payload) },
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Send(websocket.MessageText, []byte("sent before there was a connection")); err != nil {
		log.Fatal(err)
	}
	err = client.Run(context.Background(), func(_ context.Context, c *redial.Conn) error {
		_, p, err := c.Read()
		if err != nil {
			return err // Run decides whether to reconnect
		}
		fmt.Printf("%s\n", p)
		return nil // done: Run closes with 1000 and returns
	})
	fmt.Println(err)
	// Output:
	// sent before there was a connection
	// <nil>
}

// A native client with an access token for every dial, and a new one before it expires.
func ExampleBearer() {
	token := func(_ context.Context, renew bool) (string, time.Time, error) {
		// Ask the identity provider; from a cache, unless renew is set.
		return "the.access.token", time.Now().Add(time.Hour), nil
	}
	client, err := redial.New(redial.Config{URL: "wss://app.example/ws", Credential: redial.Bearer(token)})
	fmt.Println(client != nil, err)
	// Output: true <nil>
}

// A ticket from the same server for every dial.
func ExampleNewTicket() {
	tickets, err := redial.NewTicket(redial.TicketConfig{
		URL: "https://app.example/ws/ticket",
		Authorize: func(r *http.Request, _ bool) error {
			r.Header.Set("Authorization", "Bearer the.access.token")
			r.Header.Set("Origin", "https://app.example")
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	client, err := redial.New(redial.Config{
		URL: "wss://app.example/ws", Origin: "https://app.example", Subprotocols: []string{"chat.v1"}, Credential: tickets,
	})
	fmt.Println(client != nil, err)
	// Output: true <nil>
}

// The error of Run tells how to continue.
func ExampleClient_Run() {
	next := func(err error) string {
		var answered *redial.HandshakeError
		switch {
		case err == nil:
			return "serve was done"
		case errors.As(err, &answered):
			return fmt.Sprint("refused: ", answered.Status)
		case errors.Is(err, ws.ErrRevoked), errors.Is(err, ws.ErrExpired):
			return "sign in again"
		case errors.Is(err, io.EOF):
			return "the server closed normally"
		}
		return err.Error()
	}
	fmt.Println(next(ws.ErrRevoked))
	fmt.Println(next(&redial.HandshakeError{Status: http.StatusForbidden}))
	fmt.Println(next(nil))
	// Output:
	// sign in again
	// refused: 403
	// serve was done
}
