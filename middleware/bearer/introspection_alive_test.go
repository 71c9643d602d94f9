package bearer_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/middleware/live"
)

// A recheck asks the issuer, whatever requests rely on.
func TestAliveAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newTokenIssuer()
		answer := members().with("groups", []string{"staff"}).with("level", 3)
		i.issues(opaque, answer)
		cfg := introspection(i)
		cfg.CacheFor, cfg.Roles, cfg.Claims = time.Minute, [][]string{{"groups"}}, []string{"level"}
		a := newIntrospector(t, cfg)
		p, err := a.Authenticate(request(opaque))
		if err != nil {
			t.Fatal(err)
		}
		ticket := p.Clone()
		ticket.Method, ticket.Connection = "ticket", "cid"
		down := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
		for _, step := range []struct {
			name   string
			change func()
			after  time.Duration
			want   string
			asked  int64 // since the last step
		}{
			{name: "an answer of this second", change: func() {}, after: time.Second - 1, want: "accepted"},
			{name: "a second later", change: func() {}, after: 1, want: "accepted", asked: 1},
			{name: "revoked within the second", change: func() { i.revokes(opaque) }, want: "accepted"},
			{name: "revoked", change: func() {}, after: time.Second, want: "401 credential_revoked", asked: 1},
			{name: "active again", change: func() { i.issues(opaque, answer) }, after: time.Second, want: "accepted", asked: 1},
			{
				name: "another scope", change: func() { i.issues(opaque, answer.with("scope", "read")) },
				after: time.Second, want: "401 credential_outdated", asked: 1,
			},
			{
				name: "the scopes in another order", change: func() { i.issues(opaque, answer.with("scope", "write read")) },
				after: time.Second, want: "accepted", asked: 1,
			},
			{
				name: "another role", change: func() { i.issues(opaque, answer.with("groups", []string{"staff", "admin"})) },
				after: time.Second, want: "401 credential_outdated", asked: 1,
			},
			{
				name: "another claim", change: func() { i.issues(opaque, answer.with("level", 4)) },
				after: time.Second, want: "401 credential_outdated", asked: 1,
			},
			{
				name: "for another audience", change: func() { i.issues(opaque, answer.with("aud", "web")) },
				after: time.Second, want: invalid, asked: 1,
			},
			{
				name: "the answer is about another subject", change: func() { i.issues(opaque, answer.with("sub", "bob")) },
				after: time.Second, want: unavailable, asked: 1,
			},
			{
				name: "the answer is about another token", change: func() { i.issues(opaque, answer.with("jti", "token-2")) },
				after: time.Second, want: unavailable, asked: 1,
			},
			{name: "the endpoint is down", change: func() { i.becomes(down) }, after: time.Second, want: unavailable, asked: 2},
			{name: "still", change: func() {}, want: unavailable, asked: 2},
			{name: "it is back", change: func() { i.issues(opaque, answer); i.becomes(nil) }, want: "accepted", asked: 1},
			{
				name: "not active, just before exp", change: func() { i.revokes(opaque) },
				after: time.Hour - 11*time.Second - 1, want: "401 credential_revoked", asked: 1,
			},
			{name: "at exp", change: func() {}, after: 1, want: expired},
			{name: "after exp and the leeway", change: func() {}, after: 30 * time.Second, want: expired},
		} {
			step.change()
			time.Sleep(step.after)
			before := i.asked.Load()
			for what, p := range map[string]middleware.Principal{"a token": p, "a ticket": ticket} {
				if err := a.Alive(t.Context(), p); outcome(err) != step.want {
					t.Errorf("%s, %s: %s, want %s: %v", step.name, what, outcome(err), step.want, err)
				}
			}
			if n := i.asked.Load() - before; n != step.asked {
				t.Errorf("%s: asked %d times, want %d", step.name, n, step.asked)
			}
		}
	})
}

// Requests rely on the answer to a recheck, too.
func TestARecheckEndsWhatRequestsRelyOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newTokenIssuer()
		i.issues(opaque, members())
		cfg := introspection(i)
		cfg.CacheFor = time.Minute
		a := newIntrospector(t, cfg)
		p, err := a.Authenticate(request(opaque))
		if err != nil {
			t.Fatal(err)
		}
		i.revokes(opaque)
		time.Sleep(time.Second)
		if err := a.Alive(t.Context(), p); outcome(err) != "401 credential_revoked" {
			t.Error(outcome(err))
		}
		if _, err := a.Authenticate(request(opaque)); outcome(err) != invalid {
			t.Errorf("a request after the recheck: %s", outcome(err))
		}
	})
}

func TestAliveOfOtherPrincipals(t *testing.T) {
	t.Parallel()
	i := newTokenIssuer()
	i.issues(opaque, members())
	a := newIntrospector(t, introspection(i))
	p, err := a.Authenticate(request(opaque))
	if err != nil {
		t.Fatal(err)
	}
	asked := i.asked.Load()
	other, jwt := p, p
	other.Issuer, jwt.SealedToken = "https://other.example", ""
	for name, p := range map[string]middleware.Principal{"of another issuer": other, "of a JWT": jwt, "without a credential": {}} {
		if err := a.Alive(t.Context(), p); err != nil || i.asked.Load() != asked {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Revocations and Sessions end an opaque token as they end a JWT.
func TestRevocationsOfOpaqueTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newTokenIssuer()
		i.issues(opaque, members())
		revocations := middleware.NewRevocations()
		cfg := introspection(i)
		cfg.Revocations = revocations
		a := newIntrospector(t, cfg)
		p, err := a.Authenticate(request(opaque))
		if err != nil {
			t.Fatal(err)
		}
		told := make(chan middleware.Revocation, 1)
		defer a.Follow(func(v middleware.Revocation) { told <- v })()
		v := middleware.Revocation{TokenHandle: bearer.TokenHandle(issuer, "token-1")}
		if err := revocations.Revoke(t.Context(), v); err != nil {
			t.Fatal(err)
		}
		if got := <-told; got.TokenHandle != v.TokenHandle {
			t.Errorf("told %+v", got)
		}
		asked := i.asked.Load()
		if err := a.Alive(t.Context(), p); outcome(err) != "401 credential_revoked" || i.asked.Load() != asked {
			t.Errorf("alive: %s", outcome(err))
		}
		if _, err := a.Authenticate(request(opaque)); outcome(err) != "401 credential_revoked" {
			t.Errorf("in a request: %s", outcome(err))
		}
	})
}

// The socket of an opaque token ends at the recheck after its revocation at the issuer, and not
// while the endpoint is down for less than Timeouts.Stale.
func TestASocketEndsWithItsOpaqueToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newTokenIssuer()
		i.issues("revoked", members().with("jti", "1"))
		i.issues("stays", members().with("jti", "2"))
		s := socketServer(t, live.Timeouts{Recheck: time.Minute, Stale: 5 * time.Minute}, newIntrospector(t, introspection(i)))
		ended := map[string]chan error{}
		for _, tok := range []string{"revoked", "stays"} {
			c, _, err := s.Dial(t.Context(), "/", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + tok}}})
			if err != nil {
				t.Fatal(err)
			}
			end := make(chan error, 1)
			ended[tok] = end
			go func() { _, _, err := c.Read(context.Background()); end <- err }()
		}
		time.Sleep(10 * time.Minute)
		i.becomes(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
		time.Sleep(3 * time.Minute)
		i.becomes(nil)
		time.Sleep(3 * time.Minute)
		select {
		case err := <-ended["revoked"]:
			t.Fatalf("ended with %v before it was revoked", err)
		default:
		}
		i.revokes("revoked")
		began := time.Now()
		var end websocket.CloseError
		if err := <-ended["revoked"]; !errors.As(err, &end) || end.Code != 3000 || end.Reason != "revoked" {
			t.Errorf("ended with %v, want 3000 revoked", err)
		}
		if took := time.Since(began); took > time.Minute+time.Second { // Recheck and a tick
			t.Errorf("ended after %v", took)
		}
		time.Sleep(20 * time.Minute)
		select {
		case err := <-ended["stays"]:
			t.Errorf("the socket of the other token ended with %v", err)
		default:
		}
	})
}

// A principal has its token encrypted, for its own issuer and handle only. Nothing else opens it.
func TestSealedTokens(t *testing.T) {
	t.Parallel()
	i := newTokenIssuer()
	i.issues("one", members().with("jti", "1"))
	i.issues("two", members().with("jti", "2"))
	a := newIntrospector(t, introspection(i))
	principal := func(a *bearer.Introspector, token string) middleware.Principal {
		p, err := a.Authenticate(request(token))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	one, two := principal(a, "one"), principal(a, "two")
	swapped, cut, changed := one, one, one
	swapped.SealedToken = two.SealedToken
	cut.SealedToken = cut.SealedToken[:40]
	changed.SealedToken = strings.Replace(one.SealedToken, one.SealedToken[60:62], "__", 1)
	for name, p := range map[string]middleware.Principal{
		"of another principal": swapped, "cut off": cut, "changed": changed,
		"not base64url": {Issuer: issuer, TokenHandle: one.TokenHandle, SealedToken: "%"},
		"of another key": func() middleware.Principal {
			return principal(newIntrospector(t, introspection(i)), "one")
		}(),
	} {
		if err := a.Alive(t.Context(), p); outcome(err) != expired || !strings.Contains(err.Error(), "IntrospectionConfig.Key") {
			t.Errorf("%s: %s, %v", name, outcome(err), err)
		}
	}
	if err := a.Alive(t.Context(), one); err != nil {
		t.Error(err)
	}
}
