package ws_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// A member leaves when its connection ends, for each cause, and also while Serve has yet to return.
func TestMembersLeaveWhenTheirConnectionEnds(t *testing.T) {
	revocations := func(n *node, list middleware.Revocations, c *ws.Conn) {
		if err := list.Revoke(n.t.Context(), middleware.Revocation{SessionHandle: c.Principal().SessionHandle}); err != nil {
			n.t.Error(err)
		}
	}
	for name, end := range map[string]func(n *node, list middleware.Revocations, c *ws.Conn, client *websocket.Conn){
		"its credential is revoked": func(n *node, list middleware.Revocations, c *ws.Conn, _ *websocket.Conn) { revocations(n, list, c) },
		"its credential expires":    func(*node, middleware.Revocations, *ws.Conn, *websocket.Conn) { time.Sleep(time.Hour + time.Second) },
		"the peer closes it": func(_ *node, _ middleware.Revocations, _ *ws.Conn, client *websocket.Conn) {
			_ = client.Close(1000, "")
		},
		"the network is lost":  func(_ *node, _ middleware.Revocations, _ *ws.Conn, client *websocket.Conn) { _ = client.CloseNow() },
		"the server closes it": func(_ *node, _ middleware.Revocations, c *ws.Conn, _ *websocket.Conn) { _ = c.Close(4000, "") },
		"the registry ends it": func(n *node, _ middleware.Revocations, c *ws.Conn, _ *websocket.Conn) {
			n.live.End(c.Principal().Issuer, c.Principal().Subject, c.ID(), live.Forbidden)
		},
		"the server shuts down": func(n *node, _ middleware.Revocations, _ *ws.Conn, _ *websocket.Conn) { n.shutdown() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var groups [2]ws.Group
				list, conns, release := middleware.NewRevocations(), make(chan *ws.Conn, 1), make(chan struct{})
				users := user{principal: func(name string) (middleware.Principal, error) {
					return middleware.Principal{
						Issuer: "test", Subject: name, SessionHandle: "s-" + name, TokenHandle: "t-" + name, Method: "test",
						IssuedAt: time.Now(), Expires: time.Now().Add(time.Hour),
					}, nil
				}}
				n := start(t, ws.Config{
					Auth: auth(t, middleware.WithRevocations(users, list)),
					Serve: func(_ context.Context, c *ws.Conn) error {
						groups[0].Join(c)
						groups[1].Join(c)
						conns <- c
						err := c.PushOnly()
						<-release
						groups[0].Join(c) // it has ended
						return err
					},
				})
				client := n.connect("ann")
				c := <-conns
				go func() { // answers pings
					for {
						if _, _, err := client.Read(context.Background()); err != nil {
							return
						}
					}
				}()
				go end(n, list, c, client)
				<-time.After(2 * time.Hour)
				wantNone := func(when string) {
					for i := range groups {
						if groups[i].Len() != 0 {
							t.Errorf("%s: group %d has %d members", when, i, groups[i].Len())
						}
						tell(t, &groups[i], "late", 0)
					}
				}
				wantNone("before Serve has returned")
				close(release)
				synctest.Wait()
				wantNone("after Serve has tried to join again")
			})
		})
	}
}

// While the queue goes out after Serve has returned, no group adds to it.
func TestMembersLeaveWhenServeReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g ws.Group
		n := pushing(t, ws.Config{}, func(c *ws.Conn) error {
			g.Join(c)
			return c.Send(websocket.MessageBinary, make([]byte, 200<<10))
		})
		c := attack(t, n.Server)
		synctest.Wait() // the network is full
		tell(t, &g, "late", 0)
		if code, _, got := c.closed(); code != 1000 || len(got) != 1 {
			t.Errorf("%d messages, then %d; want 1, then 1000", len(got), code)
		}
	})
}

// Members that join and leave during a Send change nothing for the others, also if there are more
// than Send looks at under one lock.
func TestMembersThatLeaveDuringASendHideNoOther(t *testing.T) {
	t.Parallel()
	const members, restless, messages = 300, 60, 200
	var g ws.Group
	conns := make(chan *ws.Conn, members)
	_, l := plainNode(t, live.Config{}, ws.Config{
		Timeouts: ws.Timeouts{Heartbeat: time.Hour, Pong: time.Hour}, // the clients do not answer pings
		Serve: func(_ context.Context, c *ws.Conn) error {
			g.Join(c)
			conns <- c
			return c.PushOnly()
		},
	})
	var staying sync.WaitGroup
	var moving []*ws.Conn
	for i := range members {
		conn, err := l.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		client := upgraded(t, conn)
		c := <-conns
		if i%(members/restless) == 0 {
			moving = append(moving, c)
			go func() { _, _, _ = client.closed() }()
			continue
		}
		staying.Go(func() {
			for n := range messages {
				if _, p, err := client.next(); p != fmt.Sprint(n) {
					t.Errorf("got %q, %v; want message %d", p, err, n)
					return
				}
			}
		})
	}
	stop := make(chan struct{})
	var movers sync.WaitGroup
	movers.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			g.Leave(moving[i%restless])
			g.Join(moving[(i+restless/2)%restless])
		}
	})
	for n := range messages {
		if _, err := g.Send(websocket.MessageText, fmt.Append(nil, n)); err != nil {
			t.Error(err)
		}
	}
	staying.Wait()
	close(stop)
	movers.Wait()
}

// A membership costs no goroutine.
func TestMembersHaveNoGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const members = 100
		conns := make(chan *ws.Conn, members)
		n := pushing(t, ws.Config{}, func(c *ws.Conn) error {
			conns <- c
			return c.PushOnly()
		})
		for range members {
			attack(t, n.Server)
		}
		synctest.Wait()
		var groups [3]ws.Group
		before := runtime.NumGoroutine()
		for range members {
			c := <-conns
			for i := range groups {
				groups[i].Join(c)
			}
		}
		if n := runtime.NumGoroutine() - before; n >= members/2 {
			t.Errorf("%d goroutines more for %d members of three groups", n, members)
		}
	})
}
