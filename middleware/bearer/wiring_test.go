package bearer_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// deafRevocations misbehave on command; they share only their methods with those of
// package middleware.
type deafRevocations struct {
	middleware.Revocations
	asked func(ctx context.Context)
}

func (d *deafRevocations) Revoked(ctx context.Context, p middleware.Principal) (bool, error) {
	if d.asked != nil {
		d.asked(ctx)
	}
	return false, nil
}

// deafSessions misbehave on command.
type deafSessions struct {
	bearer.Sessions
	asked func(ctx context.Context)
}

func (d *deafSessions) SessionAlive(ctx context.Context, handle string) (string, error) {
	d.asked(ctx)
	return "alice", nil
}

// An implementation that does not return, or panics, costs 1 s and no more: 503, or 500
// without the value of the panic. Other tokens are not affected (ASVS 16.5.3, 16.2.5).
func TestImplementationsThatMisbehave(t *testing.T) {
	wires := map[string]func(cfg *bearer.Config, asked func(context.Context)){
		"Revocations": func(cfg *bearer.Config, asked func(context.Context)) {
			cfg.Revocations = &deafRevocations{asked: asked}
		},
		"Sessions": func(cfg *bearer.Config, asked func(context.Context)) { cfg.Sessions = &deafSessions{asked: asked} },
	}
	for _, c := range []struct {
		name  string
		asked func(ctx context.Context)
		want  int
		took  time.Duration
	}{
		{"sleeps", func(context.Context) { time.Sleep(time.Minute) }, 503, time.Second},
		{"waits for its context", func(ctx context.Context) { <-ctx.Done() }, 503, time.Second},
		{"panics", func(context.Context) { panic("secret") }, 500, 0},
		{"panics late", func(context.Context) { time.Sleep(time.Second / 2); panic(errors.New("secret")) }, 500, time.Second / 2},
	} {
		for field, wire := range wires {
			t.Run(field+" "+c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := config()
					wire(&cfg, c.asked)
					a := newAuthenticator(t, cfg)
					auth, err := middleware.NewAuth(a)
					if err != nil {
						t.Fatal(err)
					}
					tok := token(header(), claims().with("sid", "s"))
					start := time.Now()
					rec := httptest.NewRecorder()
					auth.Handler(http.NotFoundHandler()).ServeHTTP(rec, request(tok))
					if took := time.Since(start); rec.Code != c.want || took != c.took || strings.Contains(rec.Body.String(), "secret") {
						t.Errorf("%d %s after %v, want %d after %v", rec.Code, rec.Body, took, c.want, c.took)
					}
					_, err = auth.Authenticate(request(tok))
					if err == nil || strings.Contains(err.Error(), "secret") {
						t.Errorf("the cause for the log: %v", err)
					}
					p := middleware.Principal{Issuer: issuer, Subject: "alice", SessionHandle: "s", TokenHandle: "x"}
					if err := a.Alive(t.Context(), p); err == nil {
						t.Error("Alive answers what is not known")
					}
					time.Sleep(2 * time.Minute)
					synctest.Wait()
				})
			})
		}
	}
}

// Callers of an implementation that never returns hold at most 256 goroutines; a token
// that names no session is accepted meanwhile.
func TestSessionsThatNeverReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var held atomic.Int32
		cfg := config()
		cfg.Sessions = &deafSessions{asked: func(context.Context) { held.Add(1); <-release }}
		a := newAuthenticator(t, cfg)
		tok := token(header(), claims().with("sid", "s"))
		if got := outcomeOf(a, tok); got != unavailable {
			t.Fatalf("got %s", got)
		}
		start := time.Now()
		got := make(chan string)
		for range 1000 {
			go func() { got <- outcomeOf(a, tok) }()
		}
		if got := outcomeOf(a, token(header(), claims())); got != "accepted" || time.Since(start) != 0 {
			t.Errorf("a token without a session: %s after %v", got, time.Since(start))
		}
		for range 1000 {
			if got := <-got; got != unavailable {
				t.Errorf("got %s", got)
			}
		}
		if took := time.Since(start); took != time.Second || held.Load() != bounded.MaxCalls {
			t.Errorf("%v, %d calls held; want 1s, 256", took, held.Load())
		}
		close(release)
		synctest.Wait()
		if got := outcomeOf(a, tok); got != "accepted" {
			t.Errorf("after it is released: %s", got)
		}
	})
}

func TestTheAuthenticatorsBoundThemselves(t *testing.T) {
	for _, x := range []any{&bearer.Authenticator{}, &bearer.Introspector{}, &bearer.Issuers{}} {
		if !bounded.BoundsItself(x) {
			t.Errorf("%T does not bound itself", x)
		}
		typ := reflect.TypeOf(x).Elem()
		for i := range typ.NumField() {
			if typ.Field(i).IsExported() {
				t.Errorf("%v.%s is exported", typ, typ.Field(i).Name)
			}
		}
	}
}

// Two Authenticators in one Auth would refuse each other's tokens. A nested Auth and a wrapper do
// not hide the second one.
func TestTwoAuthenticatorsInOneAuthAreAnError(t *testing.T) {
	a, b := newAuthenticator(t, config()), newAuthenticator(t, config())
	issuers, err := bearer.NewIssuers(b)
	if err != nil {
		t.Fatal(err)
	}
	nested, err := middleware.NewAuth(b)
	if err != nil {
		t.Fatal(err)
	}
	for name, second := range map[string]middleware.Authenticator{
		"an Authenticator": b, "Issuers": issuers, "a nested Auth": nested,
		"one with revocations": middleware.WithRevocations(b, middleware.NewRevocations()),
	} {
		if _, err := middleware.NewAuth(a, second); err == nil || !strings.Contains(err.Error(), "combine them by bearer.NewIssuers") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := middleware.NewAuth(a); err != nil {
		t.Error(err)
	}
}

// The principal of a token says when its session may end, each time anew: the token that is remembered
// says nothing. A token without a session has no such time.
func TestPrincipalsSayWhenTheirSessionMayEnd(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	by := noon
	sessions := &deafSessions{asked: func(ctx context.Context) { middleware.RecheckBy(ctx, by) }}
	cfg := config()
	cfg.Sessions = sessions
	i := newTokenIssuer()
	i.issues(opaque, members().with("sid", "s"))
	opaqueTokens := introspection(i)
	opaqueTokens.Sessions = sessions
	jwts := newAuthenticator(t, cfg)
	jwt := token(header(), claims().with("sid", "s"))
	for _, tt := range []struct {
		name  string
		a     middleware.Authenticator
		token string
		by    time.Time
		want  time.Time
	}{
		{name: "a JWT", a: jwts, token: jwt, by: noon, want: noon},
		{name: "the same, later", a: jwts, token: jwt, by: noon.Add(time.Hour), want: noon.Add(time.Hour)},
		{name: "a JWT without sid", a: jwts, token: token(header(), claims()), by: noon},
		{name: "an opaque token", a: newIntrospector(t, opaqueTokens), token: opaque, by: noon, want: noon},
	} {
		by = tt.by
		p, err := tt.a.Authenticate(request(tt.token))
		if err != nil || !p.RecheckBy().Equal(tt.want) {
			t.Errorf("%s: %v, %v; want %v", tt.name, p.RecheckBy(), err, tt.want)
		}
	}
}

func TestOwns(t *testing.T) {
	t.Parallel()
	jwts := newAuthenticator(t, config())
	i := newTokenIssuer()
	opaqueTokens := newIntrospector(t, introspection(i))
	both, err := bearer.NewIssuers(jwts)
	if err != nil {
		t.Fatal(err)
	}
	jwt := middleware.Principal{Issuer: issuer, Subject: "alice", TokenHandle: "t"}
	sealed := middleware.Principal{Issuer: issuer, Subject: "alice", TokenHandle: "t", SealedToken: "s"}
	session := middleware.Principal{Issuer: issuer, Subject: "alice", SessionHandle: "s"}
	foreign, foreignSealed := jwt, sealed
	foreign.Issuer, foreignSealed.Issuer = "https://other.example", "https://other.example"
	for _, tt := range []struct {
		name  string
		owner middleware.Owner
		yes   []middleware.Principal
		no    []middleware.Principal
	}{
		{name: "an Authenticator", owner: jwts, yes: []middleware.Principal{jwt}, no: []middleware.Principal{foreign, session, {}}},
		{
			name: "an Introspector", owner: opaqueTokens,
			yes: []middleware.Principal{sealed}, no: []middleware.Principal{foreignSealed, jwt, session, {}},
		},
		{name: "Issuers", owner: both, yes: []middleware.Principal{jwt}, no: []middleware.Principal{foreign, session, {}}},
		{name: "the zero Authenticator", owner: &bearer.Authenticator{}, no: []middleware.Principal{jwt}},
		{name: "the zero Introspector", owner: &bearer.Introspector{}, no: []middleware.Principal{sealed}},
		{name: "the zero Issuers", owner: &bearer.Issuers{}, no: []middleware.Principal{jwt}},
	} {
		for _, p := range tt.yes {
			if !tt.owner.Owns(p) {
				t.Errorf("%s does not own %+v", tt.name, p)
			}
		}
		for _, p := range tt.no {
			if tt.owner.Owns(p) {
				t.Errorf("%s owns %+v", tt.name, p)
			}
		}
	}
}
