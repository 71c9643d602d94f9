package ws_test

import (
	"context"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// routes are two handlers on one registry, at /a and at /b.
func routes(t *testing.T, of live.Config) *node {
	t.Helper()
	g, err := live.New(of)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, path := range []string{"/a", "/b"} {
		mux.Handle(path, handler(t, ws.Config{Live: g, Auth: auth(t, user{}, middleware.Anonymous())}))
	}
	return &node{t: t, live: g, Server: wstest.NewServer(t, mux)}
}

// from dials from an address; the status of a handshake that is not refused is 101.
func (n *node) from(address, path, name string) (*websocket.Conn, int) {
	n.t.Helper()
	opts := as(name)
	opts.HTTPClient = n.ClientFrom(netip.MustParseAddr(address))
	c, res, err := n.Dial(n.t.Context(), path, opts)
	if res == nil {
		n.t.Fatal(err)
	}
	return c, res.StatusCode
}

// Limits hold for the process, whatever route a connection comes by.
func TestHandlersShareTheLimitsOfTheirRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := routes(t, live.Config{Limits: live.Limits{Connections: 7, PerPrincipal: 2, PerAddress: 3}})
		var first *websocket.Conn
		for _, step := range []struct {
			sentence            string
			address, path, name string
			status              int
		}{
			{sentence: "ann's first", address: "192.0.2.1", path: "/a", name: "ann", status: 101},
			{sentence: "ann's second, by the other route", address: "192.0.2.2", path: "/b", name: "ann", status: 101},
			{sentence: "ann's third", address: "192.0.2.3", path: "/a", name: "ann", status: 429},
			{sentence: "ann's third, by the other route", address: "192.0.2.3", path: "/b", name: "ann", status: 429},
			{sentence: "a second of this address", address: "192.0.2.1", path: "/b", name: "bob", status: 101},
			{sentence: "a third, without a name", address: "192.0.2.1", path: "/a", status: 101},
			{sentence: "no address has a fourth", address: "192.0.2.1", path: "/a", name: "eve", status: 429},
			{sentence: "by no route", address: "192.0.2.1", path: "/b", status: 429},
			{sentence: "another address has its share", address: "192.0.2.4", path: "/b", name: "eve", status: 101},
			{sentence: "an address of IPv6", address: "2001:db8::1", path: "/a", status: 101},
			{sentence: "has its /64 in common", address: "2001:db8::2", path: "/b", status: 101},
			{sentence: "nothing is left in all", address: "2001:db8::3", path: "/b", status: 503},
			{sentence: "nor for another address", address: "192.0.2.5", path: "/a", name: "zoe", status: 503},
		} {
			c, status := n.from(step.address, step.path, step.name)
			if status != step.status {
				t.Errorf("%s: answered %d, want %d", step.sentence, status, step.status)
			}
			if first == nil {
				first = c
			}
		}
		_ = first.CloseNow()
		synctest.Wait()
		if _, status := n.from("192.0.2.1", "/b", "ann"); status != 101 {
			t.Errorf("after her first has closed, ann is answered %d", status)
		}
	})
}

// One client does not take the places of all: by default it has a tenth of them.
func TestOneAddressHasATenth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := routes(t, live.Config{Limits: live.Limits{Connections: 100}})
		for i := range 12 {
			want := 101
			if i >= 10 {
				want = 429
			}
			if _, status := n.from("198.51.100.1", "/a", ""); status != want {
				t.Errorf("connection %d of one address is answered %d, want %d", i, status, want)
			}
		}
		if _, status := n.from("198.51.100.2", "/a", ""); status != 101 {
			t.Errorf("another address is answered %d", status)
		}
	})
}

// One Shutdown reaches the connections of every route.
func TestShutdownReachesAllHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := routes(t, live.Config{})
		a, _ := n.from("192.0.2.1", "/a", "ann")
		b, _ := n.from("192.0.2.1", "/b", "bob")
		shut := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		go func() { shut <- n.live.Shutdown(ctx) }()
		synctest.Wait()
		for _, path := range []string{"/a", "/b"} {
			if _, status := n.from("192.0.2.1", path, "late"); status != 503 {
				t.Errorf("%s answers %d during the shutdown, want 503", path, status)
			}
		}
		wantEnding(t, a, 1012, "restart", 0, 5*time.Second+time.Second)
		wantEnding(t, b, 1012, "restart", 0, 5*time.Second+time.Second)
		if err := <-shut; err != nil {
			t.Error(err)
		}
	})
}
