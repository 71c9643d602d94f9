package ws_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
)

// Row 10: a Serve that only waits for its context learns that the peer has left, since a ping
// cannot be written any more.
func TestUnreadConnectionOfAPeerThatLeftEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Time, 1)
		n := start(t, ws.Config{Serve: func(ctx context.Context, _ *ws.Conn) error {
			<-ctx.Done()
			ended <- time.Now()
			return nil
		}})
		c := n.connect("ann")
		time.Sleep(time.Hour)
		left := time.Now()
		_ = c.CloseNow()
		if after := (<-ended).Sub(left); after > 2*25*time.Second {
			t.Errorf("ended after %v, want two heartbeats at most", after)
		}
	})
}

// The answers to the pings of an hour in which Serve did not read arrive at once when it
// does. They are not the peer's rate.
func TestPongsOfAnUnreadHourAreNotARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{
			Limits: ws.Limits{ControlPerSecond: 1},
			Serve: func(_ context.Context, c *ws.Conn) error {
				time.Sleep(time.Hour)
				return echo(context.Background(), c)
			},
		})
		c := n.connect("ann")
		answered := make(chan error, 1)
		go func() { // reads, and so answers the pings
			_, _, err := c.Read(context.Background())
			answered <- err
		}()
		time.Sleep(time.Hour + time.Second)
		if err := c.Write(t.Context(), websocket.MessageText, []byte("there")); err != nil {
			t.Fatal(err)
		}
		if err := <-answered; err != nil {
			t.Errorf("the echo does not come: %v", err)
		}
		_ = c.CloseNow()
	})
}
