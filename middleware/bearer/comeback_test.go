package bearer_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws/redial"
)

// comeback is a client whose tokens come from an issuer with that clock.
type comeback struct {
	name    string
	open    atomic.Bool
	opens   atomic.Int32
	stopped chan error
}

func (c *comeback) start(ctx context.Context, t *testing.T, dials *http.Client, mint func() string) {
	t.Helper()
	client, err := redial.New(redial.Config{
		URL: "wss://app.example/", HTTPClient: dials,
		Credential: redial.Bearer(func(context.Context, bool) (string, time.Time, error) { return mint(), time.Time{}, nil }),
		OnState: func(state redial.State) {
			c.open.Store(state.Phase == redial.Open)
			if state.Phase == redial.Open {
				c.opens.Add(1)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.stopped = make(chan error, 1)
	go func() {
		c.stopped <- client.Run(ctx, func(_ context.Context, conn *redial.Conn) error {
			_, _, err := conn.Read()
			return err
		})
	}()
}

// isBack checks that the client has not given up, and is connected.
func (c *comeback) isBack(t *testing.T) {
	t.Helper()
	select {
	case err := <-c.stopped:
		t.Errorf("%s: gave up: %v", c.name, err)
		c.stopped <- err
	default:
		if !c.open.Load() {
			t.Errorf("%s: not back", c.name)
		}
	}
}

// Clients whose tokens were issued just before a cut-off lose their sockets, are refused for a
// while, and come back with new tokens: none stops. So do those that sign in just after it.
func TestNoClientGivesUpAroundACutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.Revocations = middleware.NewRevocations()
		a := newAuthenticator(t, cfg)
		s := socketServer(t, live.Timeouts{}, a)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var clients []*comeback
		start := func(clock time.Duration, signIn string) {
			subject := fmt.Sprintf("issuer %v", clock)
			c := &comeback{name: subject + ", " + signIn}
			n := 0
			clients = append(clients, c)
			c.start(ctx, t, s.Client(), func() string {
				n++
				at := time.Now().Add(clock).Unix()
				return token(header(), claims().with("sub", subject).with("jti", fmt.Sprint(c.name, n)).with("iat", at).with("exp",
					at+3600))
			})
		}
		for clock := range steps {
			start(clock, "just before")
		}
		synctest.Wait()
		began := len(clients)
		for clock := range steps {
			err := cfg.Revocations.Revoke(t.Context(), middleware.Revocation{Issuer: issuer, Subject: fmt.Sprintf("issuer %v", clock)})
			if err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for _, c := range clients[:began] {
			if c.open.Load() {
				t.Errorf("%s: the socket outlives its cut-off", c.name)
			}
		}
		for _, after := range []time.Duration{0, 100 * time.Millisecond, 900 * time.Millisecond} {
			time.Sleep(after)
			for clock := range steps {
				start(clock, fmt.Sprint("after ", after))
			}
		}
		time.Sleep(61*time.Second + 36*time.Second) // the window, Retry-After and Backoff.Max
		for _, c := range clients {
			c.isBack(t)
		}
		for _, c := range clients[:began] {
			if n := c.opens.Load(); n != 2 {
				t.Errorf("%s: opened %d times, want 2", c.name, n)
			}
		}
		stop()
		synctest.Wait()
	})
}
