package bearer_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// lasting returns a token of two hours that the key of that kid has signed.
func lasting(kid string, key any) string {
	return sign(key, "ES256", header().with("kid", kid).String(), claims().with("exp", time.Now().Unix()+7200).with("jti", kid).String())
}

func principalOf(t *testing.T, a *bearer.Authenticator, token string) middleware.Principal {
	t.Helper()
	p, err := a.Authenticate(request(token))
	if err != nil {
		t.Fatal(err)
	}
	if p.SigningKey == "" {
		t.Error("the principal has no SigningKey")
	}
	return p
}

// The key that signed a token is asked for on each recheck, and a new token may be good: so
// the word is expired.
func TestAWithdrawnKeyEndsItsTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuerInMemory{}
		old, stays := jwk("old", ecKey()), jwk("stays", otherEC())
		i.serves(keys(old, stays))
		a := newAuthenticator(t, i.config())
		oldToken, staysToken := lasting("old", ecKey()), lasting("stays", otherEC())
		p, q := principalOf(t, a, oldToken), principalOf(t, a, staysToken)
		ticket := p
		ticket.Method = "ticket"
		for _, step := range []struct {
			name                string
			change              func()
			after               time.Duration
			alive, authenticate string // of the old key
		}{
			{name: "before a change", change: func() {}, after: 5 * time.Minute, alive: "accepted", authenticate: "accepted"},
			{
				name: "the issuer is down", change: func() { i.set.Store(nil) },
				after: 50 * time.Minute, alive: "accepted", authenticate: "accepted",
			},
			{
				name: "it was down for longer than MaxStale", change: func() {},
				after: 15 * time.Minute, alive: unavailable, authenticate: unavailable,
			},
			{
				name: "it is back", change: func() { i.serves(keys(old, stays)) },
				after: 15 * time.Second, alive: "accepted", authenticate: "accepted",
			},
			{
				name: "the key has another kid", change: func() { i.serves(keys(jwk("older", ecKey()), stays)) },
				after: 5 * time.Minute, alive: "accepted", authenticate: invalid,
			},
			{
				name: "it is withdrawn", change: func() { i.serves(keys(stays)) },
				after: 5 * time.Minute, alive: expired, authenticate: invalid,
			},
			{
				name: "and an earlier one is published again", change: func() { i.serves(keys(old, stays)) },
				after: 5 * time.Minute, alive: "accepted", authenticate: "accepted",
			},
			{
				name: "it is withdrawn again", change: func() { i.serves(keys(stays)) },
				after: 5 * time.Minute, alive: expired, authenticate: invalid,
			},
			{
				name: "the issuer is down since", change: func() { i.set.Store(nil) },
				after: 20 * time.Minute, alive: expired, authenticate: unavailable,
			},
		} {
			step.change()
			time.Sleep(step.after)
			synctest.Wait()
			for what, p := range map[string]middleware.Principal{"a token": p, "a ticket": ticket} {
				if err := a.Alive(t.Context(), p); outcome(err) != step.alive {
					t.Errorf("%s, %s: %s, want %s", step.name, what, outcome(err), step.alive)
				}
			}
			if got := outcomeOf(a, oldToken); got != step.authenticate {
				t.Errorf("%s, in a request: %s, want %s", step.name, got, step.authenticate)
			}
			want := "accepted"
			if step.alive == unavailable {
				want = unavailable
			}
			if err := a.Alive(t.Context(), q); outcome(err) != want || outcomeOf(a, staysToken) != want {
				t.Errorf("%s, of the key that stays: %s and %s, want %s", step.name, outcome(err), outcomeOf(a, staysToken), want)
			}
		}
	})
}

// A ticket may come from a node that has fetched a newer set than the node that accepts it.
func TestAKeyThatAnotherNodeHasFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuerInMemory{}
		i.serves(keys(jwk("old", ecKey())))
		here := newAuthenticator(t, i.config())
		synctest.Wait()
		i.serves(keys(jwk("old", ecKey()), jwk("new", otherEC())))
		p := principalOf(t, newAuthenticator(t, i.config()), lasting("new", otherEC()))
		before := i.fetches.Load()
		if err := here.Alive(t.Context(), p); outcome(err) != "accepted" || i.fetches.Load() != before+1 {
			t.Errorf("%s after %d fetches", outcome(err), i.fetches.Load()-before)
		}
		p.SigningKey = "a key that neither of them has"
		for range 2 {
			if err := here.Alive(t.Context(), p); outcome(err) != expired {
				t.Errorf("after a fetch: %s", outcome(err))
			}
		}
		if err := here.Alive(t.Context(), p); outcome(err) != unavailable {
			t.Errorf("within the cool-down: %s", outcome(err))
		}
		time.Sleep(10 * time.Second)
		if err := here.Alive(t.Context(), p); outcome(err) != expired {
			t.Errorf("after it: %s", outcome(err))
		}
		fixed := newAuthenticator(t, config())
		if err := fixed.Alive(t.Context(), p); outcome(err) != expired {
			t.Errorf("with a set that never changes: %s", outcome(err))
		}
		p.SigningKey = ""
		if err := fixed.Alive(t.Context(), p); err != nil {
			t.Errorf("a ticket of an earlier version: %v", err)
		}
	})
}

// The socket of a token ends at the recheck after the refresh in which its key was missing.
func TestASocketEndsWithTheKeyOfItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuerInMemory{}
		i.serves(keys(jwk("old", ecKey()), jwk("stays", otherEC())))
		a := newAuthenticator(t, i.config())
		s := socketServer(t, live.Timeouts{Recheck: time.Minute}, a)
		ended := map[string]chan error{}
		for kid, key := range map[string]any{"old": ecKey(), "stays": otherEC()} {
			c, _, err := s.Dial(t.Context(), "/",
				&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + lasting(kid, key)}}})
			if err != nil {
				t.Fatal(err)
			}
			end := make(chan error, 1)
			ended[kid] = end
			go func() { _, _, err := c.Read(context.Background()); end <- err }()
		}
		time.Sleep(10 * time.Minute)
		i.serves(keys(jwk("stays", otherEC())))
		began := time.Now()
		var end websocket.CloseError
		if err := <-ended["old"]; !errors.As(err, &end) || end.Code != 3000 || end.Reason != "expired" {
			t.Errorf("ended with %v, want 3000 expired", err)
		}
		if took := time.Since(began); took > 6*time.Minute+time.Second { // Refresh, Recheck and a tick
			t.Errorf("ended after %v", took)
		}
		time.Sleep(30 * time.Minute)
		select {
		case err := <-ended["stays"]:
			t.Errorf("the socket of the other key ended with %v", err)
		default:
		}
	})
}

// socketServer serves sockets, in memory, to the principals of the authenticator.
func socketServer(t *testing.T, timeouts live.Timeouts, a middleware.Authenticator) *wstest.Server {
	t.Helper()
	auth, err := middleware.NewAuth(a)
	if err != nil {
		t.Fatal(err)
	}
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{wstest.URL}, AllowMissing: true})
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	registry, err := live.New(live.Config{Timeouts: timeouts, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	h, err := ws.New(ws.Config{
		Auth: auth, Origins: origins,
		Live: registry, Log: quiet, Serve: func(_ context.Context, c *ws.Conn) error { return c.PushOnly() },
	})
	if err != nil {
		t.Fatal(err)
	}
	return wstest.NewServer(t, h)
}
