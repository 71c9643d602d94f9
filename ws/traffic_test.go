package ws_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// Messages and their bytes are in live.Registry.Stats within Timeouts.Write, 10 s by default,
// while the connection goes on, and all of them when it has ended.
func TestStatsHaveTheMessagesOfBothDirections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error {
			for {
				typ, p, err := c.Read()
				if err != nil {
					return err
				}
				for range 2 { // by both ways
					if err := errors.Join(c.Write(typ, p), c.Send(typ, p)); err != nil {
						return err
					}
				}
			}
		}})
		c := n.connect("ann")
		say := func(size int) {
			if err := c.Write(t.Context(), websocket.MessageText, make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			for range 4 {
				if _, _, err := c.Read(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		want := func(when string, received, sent live.Traffic) {
			t.Helper()
			if s := n.live.Stats(); s.Received != received || s.Sent != sent {
				t.Errorf("%s: received %v, sent %v; want %v, %v", when, s.Received, s.Sent, received, sent)
			}
		}
		say(100)
		say(3)
		time.Sleep(11 * time.Second)
		want("after 11 s", live.Traffic{Messages: 2, Bytes: 103}, live.Traffic{Messages: 8, Bytes: 412})
		time.Sleep(8 * time.Second) // no ping yet, which the client would have to read
		want("when nothing more has passed", live.Traffic{Messages: 2, Bytes: 103}, live.Traffic{Messages: 8, Bytes: 412})
		say(7)
		_ = c.Close(1000, "")
		synctest.Wait()
		want("after the end", live.Traffic{Messages: 3, Bytes: 110}, live.Traffic{Messages: 12, Bytes: 440})
	})
}

// The bytes that wait for a peer that does not read are in live.Registry.Stats, and none when
// its connection has ended.
func TestStatsHaveTheQueuedBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages, size = 100, 10 << 10
		n := start(t, ws.Config{
			Timeouts: ws.Timeouts{Write: 30 * time.Second},
			Serve: func(_ context.Context, c *ws.Conn) error {
				for range messages {
					if err := c.Send(websocket.MessageBinary, make([]byte, size)); err != nil {
						return err
					}
				}
				return c.PushOnly()
			},
		})
		n.connect("ann") // which does not read
		time.Sleep(20 * time.Second)
		// The in-memory connection holds 64 KiB, and one batch of at most 16 KiB is being written.
		if got := n.live.Stats().QueueBytes; got < messages*size-100<<10 || got >= messages*size {
			t.Errorf("%d bytes are queued", got)
		}
		time.Sleep(time.Minute) // `slow`
		if s := n.live.Stats(); s.QueueBytes != 0 || s.Open != 0 {
			t.Errorf("after the end: %d bytes are queued, %d open", s.QueueBytes, s.Open)
		}
	})
}

// The time from a ping to its pong is in live.Registry.Stats, if Serve was reading all the
// while.
func TestStatsHaveTheRoundTripOfHeartbeats(t *testing.T) {
	for _, tt := range []struct {
		name  string
		busy  time.Duration // before Serve reads
		delay time.Duration // of each pong
		each  time.Duration // round trip
	}{
		{"a pong after 300 ms", 0, 300 * time.Millisecond, 300 * time.Millisecond},
		{"a pong at once", 0, 0, 0},
		{"a first pong that waits for Serve to read", 30 * time.Second, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := start(t, ws.Config{Serve: func(ctx context.Context, c *ws.Conn) error {
					select {
					case <-ctx.Done():
					case <-time.After(tt.busy):
					}
					return c.PushOnly()
				}})
				opts := as("ann")
				opts.OnPingReceived = func(context.Context, []byte) bool { time.Sleep(tt.delay); return true }
				c, _, err := n.Dial(t.Context(), "/", opts)
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan struct{})
				go func() { defer close(done); ending(c) }()
				time.Sleep(10 * time.Minute)
				h := n.live.Stats().Heartbeats
				if h.Count < 20 || h.Count > 30 || h.Sum != time.Duration(h.Count)*tt.each { // one in 20 to 25 s
					t.Errorf("%d round trips that took %v", h.Count, h.Sum)
				}
				_ = c.CloseNow()
				<-done // a ping in the last 300 ms is still being answered
			})
		})
	}
}

// The time from the end of a credential to the close frame is in live.Registry.Stats: a
// frame under way to a slow peer delays it. Ends that are not the registry's are not there.
func TestStatsHaveTheTimeToTheCloseFrame(t *testing.T) {
	revocations := middleware.NewRevocations()
	end := func(t *testing.T, n *node, _ *websocket.Conn) {
		revoke(t, revocations, middleware.Revocation{SessionHandle: "s-ann"})
	}
	for _, tt := range []struct {
		name  string
		serve func(context.Context, *ws.Conn) error
		end   func(t *testing.T, n *node, c *websocket.Conn)
		reads time.Duration // when the peer begins to read
		count uint64
		sum   time.Duration
	}{
		{name: "a logout", serve: pushOnly, end: end, count: 1},
		{
			name: "a logout during a message to a peer that reads 1 s later", serve: func(_ context.Context, c *ws.Conn) error {
				return c.Write(websocket.MessageBinary, make([]byte, 100<<10))
			}, end: end, reads: time.Second, count: 1, sum: time.Second,
		},
		{name: "a close by the peer with the same words", serve: pushOnly, end: func(t *testing.T, _ *node, c *websocket.Conn) {
			go func() { _ = c.Close(3000, "revoked") }()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			revocations = middleware.NewRevocations()
			synctest.Test(t, func(t *testing.T) {
				n := startLive(t, live.Config{}, ws.Config{Auth: revokedBy(t, revocations), Serve: tt.serve})
				c := n.connect("ann")
				synctest.Wait()
				tt.end(t, n, c)
				time.Sleep(tt.reads)
				go ending(c)
				time.Sleep(time.Minute)
				s := n.live.Stats()
				if h := s.Closes[live.Revoked]; h.Count != tt.count || h.Sum != tt.sum {
					t.Errorf("%d close frames after %v, want %d after %v", h.Count, h.Sum, tt.count, tt.sum)
				}
			})
		})
	}
}

// An event tells a close by the peer, whatever its words, from the end of a credential.
func TestEventsTellThePeersCloseApart(t *testing.T) {
	for _, tt := range []struct {
		code   websocket.StatusCode
		reason string
	}{{3000, "revoked"}, {1000, ""}, {1012, "restart"}} {
		synctest.Test(t, func(t *testing.T) {
			var got *live.Cause
			n := startLive(t, live.Config{Events: func(e live.Event) { got = e.Cause }}, ws.Config{Serve: pushOnly})
			c := n.connect("ann")
			_ = c.Close(tt.code, tt.reason)
			synctest.Wait()
			if got == nil || !got.Peer || int(got.Code) != int(tt.code) || errors.Is(got, live.Revoked) || errors.Is(got, live.Restart) {
				t.Errorf("%d %q: %+v", tt.code, tt.reason, got)
			}
		})
	}
}
