package ws_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// Behind live.Registry.Handler a connection is a member of its own, which counts once and
// ends with its cause, whether the layer in front relies on the same Auth or on another one.
func TestConnectionsBehindTheLayerOfARegistry(t *testing.T) {
	for _, test := range []struct {
		name        string
		front, back *middleware.Auth
		places      int // per connection
	}{
		{"the same Auth", shared, shared, 1},
		{"another Auth in front", auth(t, user{}), auth(t, user{}), 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := registry(t, live.Config{Limits: live.Limits{Connections: test.places}})
				socket := handler(t, ws.Config{Live: g, Auth: test.back})
				n := &node{t: t, live: g, Server: wstest.NewServer(t, test.front.Handler(g.Handler(socket)))}
				c := n.connect("ann")
				if err := c.Write(t.Context(), websocket.MessageText, []byte("a")); err != nil {
					t.Fatal(err)
				}
				if _, got, err := c.Read(t.Context()); string(got) != "a" || err != nil {
					t.Fatalf("echo %q, %v", got, err)
				}
				if _, res, _ := n.try("bob"); res == nil || res.StatusCode != 503 {
					t.Errorf("one more than the limit: %v", res)
				}
				go n.shutdown()
				wantEnding(t, c, 1012, "restart", 0, 10*time.Second)
				time.Sleep(5 * time.Second)
				synctest.Wait()
				if list := g.List("test", "ann"); len(list) > 0 {
					t.Errorf("left: %v", list)
				}
			})
		})
	}
}

var shared, _ = middleware.NewAuth(user{})
