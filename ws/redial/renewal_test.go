package redial_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/wstest"
)

func TestPlannedReconnectBeforeExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open, most, total atomic.Int64
		var codes []websocket.StatusCode
		_, s := server(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error {
			total.Add(1)
			most.Store(max(most.Load(), open.Add(1)))
			defer open.Add(-1)
			err := c.PushOnly()
			var closed *ws.CloseError
			if errors.As(err, &closed) {
				codes = append(codes, closed.Code)
			}
			return err
		}})
		var opened []time.Time
		source := func(context.Context, bool) (redial.Credential, error) {
			c := redial.BearerToken("t")
			c.Expires = time.Now().Add(10 * time.Minute)
			return c, nil
		}
		serving := 0
		r := start(t, s, redial.Config{Credential: source}, func(ctx context.Context, c *redial.Conn) error {
			if serving++; serving > 1 {
				t.Error("two serve calls at a time")
			}
			defer func() { serving-- }()
			opened = append(opened, time.Now())
			err := listen(ctx, c)
			if ctx.Err() == nil || context.Cause(ctx) == nil {
				t.Error("serve's context lives on")
			}
			return fmt.Errorf("wrapped: %w", err)
		})
		time.Sleep(2 * time.Hour)
		r.stop()
		synctest.Wait() // for the server's side
		for i := 1; i < len(opened); i++ {
			if d := opened[i].Sub(opened[i-1]); d < 7*time.Minute || d > 9*time.Minute+5*time.Second {
				t.Errorf("renewed after %v, want between 7 and 9 minutes of 10", d)
			}
		}
		if n := total.Load(); n < 13 || n > 17 || most.Load() != 2 {
			t.Errorf("%d connections in two hours, %d at a time; want the next opened before the last is closed", n, most.Load())
		}
		for _, code := range codes[:len(codes)-1] {
			if code != 1000 {
				t.Errorf("the server saw %d, want 1000", code)
			}
		}
		if n := len(r.phases(redial.Waiting)); n != 0 {
			t.Errorf("waited %d times", n)
		}
	})
}

func TestRenewalThatFailsIsTriedAgainWhileTheOldOneLives(t *testing.T) {
	tests := map[string]struct {
		status int
		reason string
		dials  func(n int) bool
		ends   bool
	}{
		"503: until the server ends it, and then on": {503, "unavailable", func(n int) bool { return n > 4 }, false},
		"403: once, and the old one lives on":        {403, "forbidden", func(n int) bool { return n == 2 }, true},
		"401: with one more, and the old lives on":   {401, "credential_invalid", func(n int) bool { return n == 3 }, true},
		"404 of a router: as 503":                    {404, "", func(n int) bool { return n > 4 }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := handler(t, ws.Config{Serve: lasting(10*time.Minute, ws.ErrExpired)})
				var dials atomic.Int64
				s := wstest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if dials.Add(1) == 1 {
						h.ServeHTTP(w, r)
					} else {
						refusingWith(tt.status, tt.reason).ServeHTTP(w, r)
					}
				}))
				began := time.Now()
				r := start(t, s, redial.Config{Credential: func(context.Context, bool) (redial.Credential, error) {
					c := redial.BearerToken("t")
					c.Expires = began.Add(10 * time.Minute)
					return c, nil
				}}, nil)
				time.Sleep(9*time.Minute + 59*time.Second)
				synctest.Wait()
				if len(r.phases(redial.Waiting))+len(r.phases(redial.Closed)) != 0 || len(r.phases(redial.Open)) != 1 {
					t.Error("the old connection did not live on")
				}
				if !tt.dials(int(dials.Load())) {
					t.Errorf("%d dials", dials.Load())
				}
				before := dials.Load()
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if tt.ends && dials.Load() != before {
					t.Error("dialed again for a credential that there will not be")
				}
				if ended := len(r.phases(redial.Closed)) == 1; ended != tt.ends {
					t.Errorf("Run has ended: %v", ended)
				}
				if !tt.ends {
					r.stop()
					return
				}
				var answered *redial.HandshakeError
				if err := <-r.done; !errors.As(err, &answered) || answered.Status != tt.status {
					t.Errorf("Run: %v, want %d", err, tt.status)
				}
			})
		})
	}
}

func TestCredentialOfSecondsIsNoTightLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dials := counted(t, handler(t, ws.Config{}))
		r := start(t, s, redial.Config{Credential: func(context.Context, bool) (redial.Credential, error) {
			c := redial.BearerToken("t")
			c.Expires, c.Renew = time.Now().Add(time.Minute), time.Now()
			return c, nil
		}}, nil)
		time.Sleep(10 * time.Minute)
		r.stop()
		if n := dials.Load(); n > 61 {
			t.Errorf("%d dials in ten minutes: more than one in Timeouts.Stable", n)
		}
	})
}
