package ws_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// A room: each connection joins it, and each message goes to all. A connection leaves when it
// ends.
func ExampleGroup() {
	var room ws.Group
	entered := make(chan struct{})
	socket := must(ws.New(ws.Config{
		Origins: must(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}})),
		Auth:    must(middleware.NewAuth(middleware.Anonymous())),
		Live:    must(live.New(live.Config{})),
		Serve: func(_ context.Context, c *ws.Conn) error {
			room.Join(c)
			entered <- struct{}{}
			for {
				typ, p, err := c.Read()
				if err != nil {
					return err
				}
				if _, err := room.Send(typ, p); err != nil {
					return err
				}
			}
		},
	}))
	srv := httptest.NewTLSServer(socket)
	defer srv.Close()

	ctx := context.Background()
	dial := func() *websocket.Conn {
		c, _, err := websocket.Dial(ctx, srv.URL, &websocket.DialOptions{
			HTTPClient: srv.Client(), HTTPHeader: http.Header{"Origin": {"https://app.example"}},
		})
		<-entered
		return must(c, err)
	}
	alice, bob := dial(), dial()
	fmt.Println("members:", room.Len())
	if err := alice.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		panic(err)
	}
	for _, c := range []*websocket.Conn{alice, bob} {
		_, p, err := c.Read(ctx)
		fmt.Printf("%s\n", must(p, err))
		_ = c.Close(websocket.StatusNormalClosure, "")
	}
	// Output:
	// members: 2
	// hello
	// hello
}
