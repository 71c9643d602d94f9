package chirouter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"net/http"

	"github.com/coder/websocket"
	"github.com/go-chi/chi/v5"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/ws"
)

// A page of another origin holds a bearer token, trades it for a ticket, and opens a
// socket with that. The Auth of the socket's route accepts tickets only.
func Example_ticket() {
	quiet := slog.New(slog.DiscardHandler)
	origins := must(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}}))
	cors := must(origins.CORS(middleware.CORSConfig{Headers: []string{"Authorization"}}))
	who := must(middleware.NewAuth(token{})) // in a program: bearer.New, session.New or both
	tickets := must(ticket.New(ticket.Config{Auth: who, Path: "/ws", Origins: origins}))
	route := must(middleware.NewAuth(tickets))
	socket := must(ws.New(ws.Config{
		Origins: origins, Auth: route, Live: must(live.New(live.Config{})), Log: quiet, Subprotocols: []string{"chat"},
		Serve: func(_ context.Context, c *ws.Conn) error {
			p := c.Principal()
			return c.Write(websocket.MessageText, []byte(p.Subject+" by "+p.Method))
		},
	}))

	r := chi.NewRouter()
	r.Use(middleware.AccessLog(quiet), route.Strip) // Strip: before any logger of your own
	r.With(cors).Handle("/ticket", tickets.Issue())
	r.Handle("/ws", socket)

	v, stop := serve(middleware.NewServer("", r))
	defer stop()
	var issued struct{ Subprotocol string }
	if err := json.Unmarshal([]byte(v.ask("POST", "/ticket", "Bearer ann")[len("200 "):]), &issued); err != nil {
		log.Fatal(err)
	}
	for range 2 {
		c, status := v.dial("https://app.example", "chat", issued.Subprotocol)
		fmt.Println(status)
		if c != nil {
			_, p, err := c.Read(context.Background())
			fmt.Println(string(p), err)
		}
	}
	// Output:
	// 101
	// ann by ticket <nil>
	// 401
}

// token stands for an authenticator of package bearer.
type token struct{}

func (token) Ambient() bool { return false }

func (token) Authenticate(r *http.Request) (middleware.Principal, error) {
	if r.Header.Get("Authorization") != "Bearer ann" {
		return middleware.Principal{}, middleware.ErrNoCredential
	}
	return middleware.Principal{Issuer: "https://id.example", Subject: "ann", Method: "bearer"}, nil
}
