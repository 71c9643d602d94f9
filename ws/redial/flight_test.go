package redial_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/wstest"
)

// slow delays every request by up to a given time, and counts the requests in progress.
type slow struct {
	below          http.RoundTripper
	up             time.Duration
	now, most, all atomic.Int64
}

func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	s.all.Add(1)
	s.most.Store(max(s.most.Load(), s.now.Add(1)))
	defer s.now.Add(-1)
	select {
	case <-time.After(rand.N(s.up)):
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
	return s.below.RoundTrip(r)
}

// A day of connections that end at any time, beside their renewals: there is never more
// than one dial, or one call for a credential, at a time.
func TestNeverMoreThanOneDialInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		causes := []*ws.CloseError{ws.ErrDraining, ws.ErrExpired, ws.ErrSlow}
		_, s := server(t, ws.Config{Serve: func(ctx context.Context, c *ws.Conn) error {
			return lasting(rand.N(4*time.Minute), causes[rand.IntN(len(causes))])(ctx, c)
		}})
		transport := &slow{below: s.Client().Transport, up: 15 * time.Second}
		r := start(t, s, redial.Config{
			HTTPClient: &http.Client{Transport: transport},
			Timeouts:   redial.Timeouts{Stable: time.Nanosecond},
			Credential: func(ctx context.Context, _ bool) (redial.Credential, error) {
				defer transport.now.Add(-1)
				transport.most.Store(max(transport.most.Load(), transport.now.Add(1)))
				time.Sleep(rand.N(5 * time.Second))
				c := redial.BearerToken("t")
				c.Expires = time.Now().Add(3 * time.Minute)
				return c, ctx.Err()
			},
		}, nil)
		time.Sleep(24 * time.Hour)
		r.stop()
		t.Logf("%d dials, %d connections", transport.all.Load(), len(r.phases(redial.Open)))
		if transport.most.Load() != 1 || transport.all.Load() < 500 {
			t.Errorf("%d at a time, of %d", transport.most.Load(), transport.all.Load())
		}
	})
}

// account authenticates every request for ten minutes.
type account struct{}

func (account) Ambient() bool { return false }

func (account) Authenticate(r *http.Request) (middleware.Principal, error) {
	if r.Header.Get("Authorization") != "Bearer t" {
		return middleware.Principal{}, middleware.ErrNoCredential
	}
	return middleware.Principal{
		Issuer: "test", Subject: "ann", TokenHandle: "t", Method: "test", IssuedAt: time.Now(), Expires: time.Now().Add(10 * time.Minute),
	}, nil
}

// The library's own tickets: one for every dial, and the next before the credential
// behind it ends.
func TestTicketsOfTheLibrary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{wstest.URL}})
		must(t, err)
		front, err := middleware.NewAuth(account{})
		must(t, err)
		tickets, err := ticket.New(ticket.Config{Auth: front, Path: "/ws", Origins: origins})
		must(t, err)
		auth, err := middleware.NewAuth(tickets)
		must(t, err)
		var endings []websocket.StatusCode
		h := handler(t, ws.Config{
			Origins: origins, Auth: auth,
			Subprotocols: []string{"chat.v1"}, Serve: func(_ context.Context, c *ws.Conn) error {
				if c.Principal().Subject != "ann" || c.Subprotocol() != "chat.v1" {
					t.Errorf("connected: %v, %q", c.Principal(), c.Subprotocol())
				}
				err := c.PushOnly()
				endings = append(endings, codeOf(err))
				return err
			},
		})
		mux := http.NewServeMux()
		mux.Handle("POST /ws/ticket", tickets.Issue())
		mux.Handle("/ws", h)
		s := wstest.NewServer(t, mux)
		for name, query := range map[string]bool{"as subprotocol": false, "in the query": true} {
			endings = nil
			source, err := redial.NewTicket(redial.TicketConfig{
				URL: wstest.URL + "/ws/ticket", HTTPClient: s.Client(), Query: query,
				Authorize: func(r *http.Request, _ bool) error {
					r.Header.Set("Authorization", "Bearer t")
					r.Header.Set("Origin", wstest.URL)
					return nil
				},
			})
			must(t, err)
			r := start(t, s, redial.Config{Origin: wstest.URL, Subprotocols: []string{"chat.v1"}, Credential: source}, nil)
			time.Sleep(2 * time.Hour)
			r.stop()
			synctest.Wait() // for the server's side
			if n := len(endings); n < 14 || n > 20 || len(r.phases(redial.Waiting)) != 0 {
				t.Errorf("%s: %d connections in two hours of ten minutes each, waited %v", name, n, r.phases(redial.Waiting))
			}
			for _, code := range endings[:max(0, len(endings)-1)] {
				if code != 1000 {
					t.Errorf("%s: a connection ended with %d, want 1000: renewed", name, code)
				}
			}
		}
	})
}
