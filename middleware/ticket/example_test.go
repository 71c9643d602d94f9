package ticket_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/ws"
)

// A page of another origin holds a bearer token, trades it for a ticket, and opens a
// socket with that. The Auth of the socket's route accepts tickets only.
func ExampleNew() {
	quiet := slog.New(slog.DiscardHandler)
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}})
	if err != nil {
		log.Fatal(err)
	}
	cors, err := origins.CORS(middleware.CORSConfig{Headers: []string{"X-User"}})
	if err != nil {
		log.Fatal(err)
	}
	who, err := middleware.NewAuth(user{}) // in a program: bearer.New, session.New or both
	if err != nil {
		log.Fatal(err)
	}
	tickets, err := ticket.New(ticket.Config{Auth: who, Path: "/ws", Origins: origins})
	if err != nil {
		log.Fatal(err)
	}
	route, err := middleware.NewAuth(tickets)
	if err != nil {
		log.Fatal(err)
	}
	registry, err := live.New(live.Config{})
	if err != nil {
		log.Fatal(err)
	}
	socket, err := ws.New(ws.Config{
		Origins: origins, Auth: route, Live: registry, Log: quiet, Subprotocols: []string{"chat"},
		Serve: func(_ context.Context, c *ws.Conn) error {
			p := c.Principal()
			return c.Write(websocket.MessageText, []byte(p.Subject+" by "+p.Method))
		},
	})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.Handle("/ticket", cors(tickets.Issue())) // every method: CORS answers OPTIONS
	mux.Handle("/ws", socket)

	srv := httptest.NewTLSServer(middleware.Chain(mux,
		middleware.AccessLog(quiet), route.Strip)) // Strip: before any logger of your own
	defer srv.Close()
	offer := fetchAndOffer(srv)
	for range 2 {
		fmt.Println(greeting(srv, offer))
	}
	// Output:
	// ann by ticket
	// refused with 401
}

// A ticket for the socket of any library: the layer of its Auth strips it from the request.
func ExampleTickets_Issue() {
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}})
	if err != nil {
		log.Fatal(err)
	}
	who, err := middleware.NewAuth(user{})
	if err != nil {
		log.Fatal(err)
	}
	tickets, err := ticket.New(ticket.Config{Auth: who, Path: "/ws", Origins: origins})
	if err != nil {
		log.Fatal(err)
	}
	route, err := middleware.NewAuth(tickets)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /ticket", tickets.Issue()) // authenticates by itself
	mux.Handle("GET /ws", route.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := middleware.FromContext(r.Context()) // any upgrader may follow
		fmt.Println(p.Subject, p.Method, r.Header["Sec-Websocket-Protocol"])
	})))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, post("https://app.example", "ann"))
	var answer struct{ Subprotocol string }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		log.Fatal(err)
	}
	mux.ServeHTTP(httptest.NewRecorder(), handshake("/ws", "https://app.example", "Sec-WebSocket-Protocol", "chat, "+answer.Subprotocol))
	// Output: ann ticket [chat]
}

// fetchAndOffer does the work of the page: POST, then new WebSocket(url, ["chat", subprotocol]).
func fetchAndOffer(srv *httptest.Server) []string {
	r, err := http.NewRequest("POST", srv.URL+"/ticket", nil)
	if err != nil {
		log.Fatal(err)
	}
	r.Header.Set("Origin", "https://app.example")
	r.Header.Set("X-User", "ann")
	res, err := srv.Client().Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct{ Subprotocol string }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		log.Fatal(err)
	}
	return []string{"chat", answer.Subprotocol}
}

func greeting(srv *httptest.Server, offer []string) string {
	c, res, err := websocket.Dial(context.Background(), srv.URL+"/ws", &websocket.DialOptions{
		HTTPClient: srv.Client(), HTTPHeader: http.Header{"Origin": {"https://app.example"}}, Subprotocols: offer,
	})
	if err != nil {
		return fmt.Sprintf("refused with %d", res.StatusCode)
	}
	defer c.CloseNow()
	_, p, err := c.Read(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	return string(p)
}
