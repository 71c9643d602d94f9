package redis_test

import (
	"context"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/coder/websocket"
	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// room has every message of a member reach the members on all nodes.
type room struct {
	members ws.Group
	client  goredis.UniversalClient
	channel string
}

// follow delivers messages until ctx ends. Each node calls it once.
func (r *room) follow(ctx context.Context) {
	subscription := r.client.Subscribe(ctx, r.channel)
	context.AfterFunc(ctx, func() { _ = subscription.Close() })
	for m := range subscription.Channel() {
		_, _ = r.members.Send(websocket.MessageText, []byte(m.Payload)) // an error: text that is not UTF-8
	}
}

// serve is ws.Config.Serve.
func (r *room) serve(ctx context.Context, c *ws.Conn) error {
	r.members.Join(c)
	for {
		_, p, err := c.Read()
		if err != nil {
			return err
		}
		if err := r.client.Publish(ctx, r.channel, p).Err(); err != nil {
			return ws.ErrLater.Wrap(err) // the client comes back
		}
	}
}

// The page has the code above.
func TestPageHasTheFanOut(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/nodes.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("fanout_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "```go\n// room")
	block, _, _ = strings.Cut("// room"+block, "```")
	if n := strings.Count(block, "\n"); n < 20 || n > 31 || !strings.Contains(string(source), block) {
		t.Errorf("it is not in fanout_test.go, or has not about 30 lines:\n%s", block)
	}
}

// startRoom serves the room on a node whose Redis is at addr.
func startRoom(t *testing.T, addr string) (open func() *websocket.Conn) {
	t.Helper()
	registry, err := live.New(live.Config{})
	if err != nil {
		t.Fatal(err)
	}
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}, AllowMissing: true})
	if err != nil {
		t.Fatal(err)
	}
	auth, err := middleware.NewAuth(middleware.Anonymous())
	if err != nil {
		t.Fatal(err)
	}
	r := &room{client: node(t, addr).Client(), channel: "room"}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go r.follow(ctx)
	h, err := ws.New(ws.Config{Origins: origins, Auth: auth, Live: registry, Serve: r.serve, DangerouslyAllowPlaintext: true})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = middleware.NewServer("", h)
	srv.Start()
	t.Cleanup(srv.Close)
	return func() *websocket.Conn {
		t.Helper()
		c, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(srv.URL, "http"), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.CloseNow() })
		return c
	}
}

// A message reaches both nodes. One that is published while a node has no subscription is lost to
// it, and later ones arrive.
func TestFanOut(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	between := startProxy(t, s.Addr)
	here, there := startRoom(t, s.Addr)(), startRoom(t, between.addr())()
	redis := raw(t, s.Addr)
	subscribed := func(n int64) {
		eventually(t, "the subscriptions", func() bool { return redis.PubSubNumSub(t.Context(), "room").Val()["room"] == n })
	}
	say := func(text string) {
		t.Helper()
		if err := here.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	hears := func(c *websocket.Conn, want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if _, p, err := c.Read(ctx); err != nil || string(p) != want {
			t.Errorf("%q %v, want %q", p, err, want)
		}
	}
	subscribed(2)
	say("first")
	hears(here, "first")
	hears(there, "first")

	between.turn("127.0.0.1:1", func(*link) bool { return true })
	subscribed(1)
	say("lost")
	hears(here, "lost")
	between.turn(s.Addr, func(*link) bool { return true })
	subscribed(2)
	say("next")
	hears(here, "next")
	hears(there, "next")
}
