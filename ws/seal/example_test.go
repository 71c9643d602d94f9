package seal_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/seal"
)

// A server with sealed connections on http.ServeMux, and a client that pins its key.
func ExampleNewServer() {
	key, err := seal.GenerateKey(seal.XWing, time.Now().AddDate(0, 3, 0))
	if err != nil {
		log.Fatal(err)
	}
	keys, err := seal.NewKeyring(key)
	if err != nil {
		log.Fatal(err)
	}
	sealed, err := seal.NewServer(seal.Config{Keys: keys, Audience: "chat.example"})
	if err != nil {
		log.Fatal(err)
	}
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}})
	if err != nil {
		log.Fatal(err)
	}
	anyone, err := middleware.NewAuth(middleware.Anonymous())
	if err != nil {
		log.Fatal(err)
	}
	registry, err := live.New(live.Config{})
	if err != nil {
		log.Fatal(err)
	}
	route := ws.Config{
		Origins:      origins,
		Auth:         anyone,
		Live:         registry,
		Subprotocols: []string{"chat"},
		Log:          slog.New(slog.DiscardHandler),
	}
	socket, err := ws.New(sealed.Seal(route, func(_ context.Context, c ws.Connection) error {
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
	}))
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /ws", socket)
	mux.Handle(seal.DirectoryPath, keys)
	srv := httptest.NewTLSServer(mux)
	defer srv.Close()

	client, err := seal.NewClient(seal.ClientConfig{
		Keys: []seal.PublicKey{key.Public()}, Audience: "chat.example", App: "chat", Origin: "https://app.example",
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	raw, _, err := websocket.Dial(ctx, srv.URL+"/ws", &websocket.DialOptions{
		HTTPClient: srv.Client(), HTTPHeader: http.Header{"Origin": {"https://app.example"}},
		Subprotocols: client.Subprotocols(),
	})
	if err != nil {
		log.Fatal(err)
	}
	c, err := client.Connect(ctx, seal.Dialed(ctx, raw))
	if err != nil {
		log.Fatal(err)
	}
	_ = c.Write(websocket.MessageText, []byte("hello"))
	_, p, err := c.Read()
	fmt.Printf("%s %v, %s\n", p, err, c.Subprotocol())
	_ = c.Close(websocket.StatusNormalClosure, "")
	// Output:
	// you said hello <nil>, hpke1.chat
}

// The directory of keys, and a rotation: the old key stays beside the new one for clients
// that know only the old one.
func ExampleNewKeyring() {
	first, err := seal.GenerateKey(seal.X25519, time.Now().Add(24*time.Hour))
	if err != nil {
		log.Fatal(err)
	}
	keys, err := seal.NewKeyring(first)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+seal.DirectoryPath, keys)
	srv := httptest.NewTLSServer(mux)
	defer srv.Close()

	next, err := seal.GenerateKey(seal.X25519, time.Now().Add(48*time.Hour))
	if err != nil {
		log.Fatal(err)
	}
	if err := keys.Replace(next, first); err != nil {
		log.Fatal(err)
	}
	known, err := seal.FetchKeys(context.Background(), srv.Client(), srv.URL+seal.DirectoryPath)
	fmt.Println(len(known), err, known[0].String() == next.String())
	// Output:
	// 2 <nil> true
}

// NewClient reports every mistake of a configuration at once.
func ExampleNewClient() {
	_, err := seal.NewClient(seal.ClientConfig{App: "chat v1", PSK: seal.PSK("hunter2")})
	fmt.Println(err)
	// Output:
	// seal: Keys: none: want a public key of the server
	// seal: App: "chat v1": letters, digits, '-', '_' and '.', up to 64
	// seal: Audience: 0 bytes: want a name of 1 to 255
	// seal: PSK: 7 bytes: want 32 random bytes, or none
}
