package ws_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// ASVS 7.3.1, 7.3.2, 7.4.1: the connection ends with its credential.
func TestConnectionEndsWithItsDeadlines(t *testing.T) {
	const long = 100 * time.Hour
	tests := []struct {
		name             string
		expires          time.Duration
		idle             time.Duration
		maxAge           time.Duration
		code             websocket.StatusCode
		reason           string
		earliest, latest time.Duration
	}{
		{
			name: "at the credential's end", expires: time.Hour,
			idle: long, maxAge: long, code: 3000, reason: "expired", earliest: time.Hour, latest: time.Hour + time.Second,
		},
		{
			name: "at its maximum age, less up to a tenth of jitter",
			idle: long, maxAge: 2 * time.Hour, code: 3000, reason: "reauth", earliest: 108 * time.Minute,
			latest: 2*time.Hour + time.Second,
		},
		{
			name: "after the default maximum age of 24 h", idle: long,
			code: 3000, reason: "reauth", earliest: 24 * 54 * time.Minute, latest: 24*time.Hour + time.Second,
		},
		{
			name: "when idle, though it answers heartbeats", idle: 10 * time.Minute,
			code: 3008, reason: "idle", earliest: 10 * time.Minute, latest: 10*time.Minute + time.Second,
		},
		{
			name: "never because it is idle, by default", code: 3000,
			reason: "reauth", earliest: 24 * 54 * time.Minute, latest: 24*time.Hour + time.Second,
		},
		{
			name: "at the earliest of them", expires: 5 * time.Minute,
			idle: 6 * time.Minute, maxAge: 7 * time.Minute, code: 3000, reason: "expired", earliest: 5 * time.Minute,
			latest: 5*time.Minute + time.Second,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				of := live.Config{Timeouts: live.Timeouts{MaxAge: tt.maxAge}}
				n := startLive(t, of, ws.Config{
					Timeouts: ws.Timeouts{Idle: tt.idle},
					Auth: auth(t, user{func(name string) (middleware.Principal, error) {
						p := middleware.Principal{Issuer: "test", Subject: name}
						if tt.expires > 0 {
							p.Expires = time.Now().Add(tt.expires)
						}
						return p, nil
					}}),
				})
				wantEnding(t, n.connect("ann"), tt.code, tt.reason, tt.earliest, tt.latest)
			})
		})
	}
}

func TestMessagesKeepAConnectionFromBeingIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{Timeouts: ws.Timeouts{Idle: time.Minute}})
		c := n.connect("ann")
		go func() {
			for range 60 {
				time.Sleep(50 * time.Second)
				if err := c.Write(t.Context(), websocket.MessageText, []byte("x")); err != nil {
					t.Error(err)
				}
			}
		}()
		wantEnding(t, c, 3008, "idle", 51*time.Minute, 51*time.Minute+time.Second)
	})
}

// A half-open peer is gone after interval + timeout, 25 + 10 s.
func TestHalfOpenPeerIsGoneAfterAHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		ended := make(chan time.Duration, 2)
		n := start(t, ws.Config{Serve: func(ctx context.Context, c *ws.Conn) error {
			_, _, err := c.Read()
			if !errors.Is(err, ws.ErrTimeout) || !errors.Is(context.Cause(ctx), ws.ErrTimeout) {
				t.Errorf("read ends with %v, context with %v, want timeout", err, context.Cause(ctx))
			}
			ended <- time.Since(begun)
			return err
		}})
		n.connect("ann")
		for _, c := range n.Listener.Conns() {
			c.Blackhole()
		}
		if d := <-ended; d < 25*time.Second || d > 35*time.Second {
			t.Errorf("noticed after %v, want 25 s to 35 s", d)
		}
		synctest.Wait()
		time.Sleep(2 * time.Second)
		n.shutdown()
		if s := n.logs.String(); strings.Count(s, "websocket closed") != 1 {
			t.Errorf("want one line for the ending:\n%s", s)
		}
	})
}

func TestAnsweringPeerLivesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{Timeouts: ws.Timeouts{Idle: 9 * time.Hour}})
		wantEnding(t, n.connect("ann"), 3008, "idle", 9*time.Hour, 9*time.Hour+time.Second)
	})
}

// A message is due, to its last byte, Timeouts.Message after its first.
func TestMessageThatIsNeverFinishedIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{})
		c := n.connect("ann")
		w, err := c.Writer(t.Context(), websocket.MessageText)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		defer func() { <-done }()
		go func() {
			defer close(done)
			for range 14 { // in time for no write or heartbeat to be missed
				if _, err := w.Write(make([]byte, 4100)); err != nil {
					return
				}
				time.Sleep(2500 * time.Millisecond)
			}
		}()
		wantEnding(t, c, 3008, "timeout", 30*time.Second, 31*time.Second)
	})
}
