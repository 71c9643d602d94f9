package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
)

// counting is a Revocable that counts how often it is asked, and says what alive says. Its
// Authenticate asks itself and, as an Asker does, the others.
type counting struct {
	headerCredential
	asked  atomic.Int32
	follow []func(middleware.Revocation)
	alive  func(ctx context.Context) error
	others []middleware.Revocable
}

func (c *counting) Asks() []middleware.Revocable { return c.others }

func (c *counting) Authenticate(r *http.Request) (middleware.Principal, error) {
	p, err := c.headerCredential.Authenticate(r)
	for _, x := range append([]middleware.Revocable{c}, c.others...) {
		if err == nil {
			err = x.Alive(r.Context(), p)
		}
	}
	return p, err
}

func (c *counting) Alive(ctx context.Context, _ middleware.Principal) error {
	c.asked.Add(1)
	if c.alive != nil {
		return c.alive(ctx)
	}
	return nil
}

func (c *counting) Follow(fn func(middleware.Revocation)) (stop func()) {
	c.follow = append(c.follow, fn)
	return func() { c.follow = nil }
}

func newCounting(header string, others ...middleware.Revocable) *counting {
	return &counting{headerCredential: headerCredential{header: header}, others: others}
}

// uncomparable is a Revocable that == cannot compare.
type uncomparable struct {
	*counting
	_ []int
}

// listCounting is a list of revocations that counts how often it is asked.
type listCounting struct {
	middleware.Revocations
	asked atomic.Int32
}

func (l *listCounting) Revoked(ctx context.Context, p middleware.Principal) (bool, error) {
	l.asked.Add(1)
	return l.Revocations.Revoked(ctx, p)
}

// Revocation is asked once, however the authenticators are combined: of each Revocable, by
// the Auth or by an authenticator that asks it itself.
func TestAuthAsksEachRevocableOnce(t *testing.T) {
	t.Parallel()
	sessions, tokens, tickets := newCounting("X-Session"), newCounting("X-Token"), newCounting("X-Ticket")
	tokens.others = []middleware.Revocable{sessions}
	tickets.others = []middleware.Revocable{sessions, tokens}
	odd := uncomparable{counting: newCounting("X-Odd")}
	list := &listCounting{Revocations: middleware.NewRevocations()}
	all := map[string]*atomic.Int32{
		"sessions": &sessions.asked,
		"tokens":   &tokens.asked, "tickets": &tickets.asked, "odd": &odd.asked, "list": &list.asked,
	}
	for _, tt := range []struct {
		name   string
		list   []middleware.Authenticator
		header string
		asked  string // each once
	}{
		{"its own, inside Authenticate", []middleware.Authenticator{sessions}, "X-Session", "sessions"},
		{"every other", []middleware.Authenticator{sessions, tickets, tokens}, "X-Session", "sessions tickets tokens"},
		{
			"not those that the authenticator asks",
			[]middleware.Authenticator{sessions, tickets, tokens},
			"X-Ticket", "sessions tickets tokens",
		},
		{
			"one that stands in no list",
			[]middleware.Authenticator{tokens, &headerCredential{header: "X-Bearer"}},
			"X-Bearer", "sessions tokens",
		},
		{"of a nested Auth", []middleware.Authenticator{mustAuth(t, sessions, tokens), tickets}, "X-Ticket", "sessions tokens tickets"},
		{"in a nested Auth", []middleware.Authenticator{mustAuth(t, sessions, tokens), tickets}, "X-Token", "sessions tokens tickets"},
		{"one that cannot be compared", []middleware.Authenticator{odd, sessions}, "X-Odd", "odd sessions"},
		{"one that cannot be compared, as another", []middleware.Authenticator{odd, sessions}, "X-Session", "odd sessions"},
		{"a list", []middleware.Authenticator{middleware.WithRevocations(&headerCredential{header: "X-Bearer"}, list)}, "X-Bearer", "list"},
		{
			"a list that two share",
			[]middleware.Authenticator{
				middleware.WithRevocations(&headerCredential{header: "X-Bearer"}, list),
				middleware.WithRevocations(sessions, list),
			},
			"X-Bearer", "list sessions",
		},
		{
			"a list around what a token asks",
			[]middleware.Authenticator{middleware.WithRevocations(sessions, list), tokens},
			"X-Token", "list sessions tokens",
		},
		{
			"a list around an Asker",
			[]middleware.Authenticator{middleware.WithRevocations(tokens, list), sessions},
			"X-Token", "list sessions tokens",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			auth := mustAuth(t, tt.list...)
			check := func(how string) {
				t.Helper()
				got := map[string]int32{}
				for name, n := range all {
					if n := n.Swap(0); n > 0 {
						got[name] = n
					}
				}
				want := map[string]int32{}
				for name := range strings.FieldsSeq(tt.asked) {
					want[name] = 1
				}
				if !maps.Equal(got, want) {
					t.Errorf("%s asked %v, want %v", how, got, want)
				}
			}
			p, err := auth.Authenticate(requestWith("GET", "/", tt.header, "ann"))
			if err != nil {
				t.Fatal(err)
			}
			check("Authenticate")
			if err := auth.Alive(t.Context(), p); err != nil || !auth.CanRevoke() {
				t.Errorf("Alive: %v, CanRevoke: %v", err, auth.CanRevoke())
			}
			check("Alive")
		})
	}
}

// The answers of a Revocable about a principal that another Authenticator recognized.
func TestAuthAlive(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		alive  func(context.Context) error
		status int
		reason string
		took   time.Duration
	}{
		{name: "alive", status: 200, reason: "X-Bearer:ann", took: 0},
		{name: "ended", alive: func(context.Context) error {
			return middleware.Unauthorized(middleware.ReasonCredentialRevoked, errors.New("signed out"))
		}, status: 401, reason: "credential_revoked", took: 0},
		{
			name: "no longer allowed", alive: func(context.Context) error { return middleware.Forbidden(errors.New("role")) },
			status: 403, reason: "forbidden", took: 0,
		},
		{
			name: "no answer", alive: func(context.Context) error { return errors.New("dial tcp 10.0.0.9:6379: refused") },
			status: 503, reason: "unavailable", took: 0,
		},
		{name: "a panic", alive: func(context.Context) error { panic("s3cret") }, status: 500, reason: "internal", took: 0},
		{
			name: "slow", alive: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			status: 503, reason: "unavailable", took: 2 * time.Second,
		},
		{
			name: "deaf", alive: func(context.Context) error { time.Sleep(time.Hour); return nil },
			status: 503, reason: "unavailable", took: 2 * time.Second,
		},
		{
			name: "a nil *Refusal", alive: func(context.Context) error { var f *middleware.Refusal; return f },
			status: 503, reason: "unavailable", took: 0,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				other := newCounting("X-Session")
				other.alive = tt.alive
				auth := mustAuth(t, &headerCredential{header: "X-Bearer"}, other)
				var log bytes.Buffer
				h := middleware.Chain(http.HandlerFunc(whoami),
					middleware.AccessLog(slog.New(slog.NewTextHandler(&log, nil))), auth.Handler)
				start := time.Now()
				if status, reason := answer(t, h, requestWith("GET", "/", "X-Bearer", "ann")); status != tt.status || reason != tt.reason {
					t.Errorf("%d %s, want %d %s", status, reason, tt.status, tt.reason)
				}
				if took := time.Since(start); took != tt.took || strings.Contains(log.String(), "s3cret") {
					t.Errorf("it took %v:\n%s", took, log.String())
				}
				err := auth.Alive(t.Context(), middleware.Principal{Subject: "ann"})
				if (err == nil) != (tt.status == 200) || time.Since(start) != 2*tt.took {
					t.Errorf("Alive: %v after %v", err, time.Since(start)-tt.took)
				}
				time.Sleep(3 * time.Hour) // until the calls have returned
			})
		})
	}
}

// Follow reaches every Revocable that is asked, and stop ends each of them.
func TestAuthFollow(t *testing.T) {
	t.Parallel()
	sessions := newCounting("X-Session")
	tokens := newCounting("X-Token", sessions)
	list := middleware.NewRevocations()
	auth := mustAuth(t, mustAuth(t, tokens), middleware.WithRevocations(&headerCredential{header: "X-Bearer"}, list))
	var told []string
	stop := auth.Follow(func(v middleware.Revocation) { told = append(told, v.Subject) })
	if len(sessions.follow) != 1 || len(tokens.follow) != 1 {
		t.Errorf("followed %d and %d times", len(sessions.follow), len(tokens.follow))
	}
	revoke := func(subject string) {
		if err := list.Revoke(t.Context(), middleware.Revocation{Subject: subject}); err != nil {
			t.Fatal(err)
		}
	}
	revoke("ann")
	stop()
	revoke("bob")
	if len(told) != 1 || told[0] != "ann" || sessions.follow != nil || tokens.follow != nil {
		t.Errorf("told of %q", told)
	}
	var zero *middleware.Auth
	zero.Follow(nil)()
	if zero.CanRevoke() || zero.Alive(t.Context(), middleware.Principal{}) != nil || mustAuth(t, middleware.Anonymous()).CanRevoke() {
		t.Error("an Auth without a Revocable can revoke")
	}
}

// nilAsker asks a nil Revocable, circular leads back to itself unseen.
type nilAsker struct{ headerCredential }

func (*nilAsker) Asks() []middleware.Revocable { var c *counting; return []middleware.Revocable{c} }

type circular struct {
	uncomparable
}

func (circular) Ambient() bool { return false }
func (c circular) Authenticate(r *http.Request) (middleware.Principal, error) {
	return c.uncomparable.Authenticate(r)
}
func (c circular) Asks() []middleware.Revocable { return []middleware.Revocable{c} }

func TestNewAuthRefusesWhatCannotBeAsked(t *testing.T) {
	t.Parallel()
	bearer := &headerCredential{header: "X-Bearer"}
	_, err := middleware.NewAuth(&nilAsker{}, circular{uncomparable: uncomparable{counting: newCounting("X-Odd")}})
	wantErrors(t, err, "middleware: NewAuth: *middleware_test.nilAsker: one of its Asks is nil",
		"middleware: NewAuth: middleware_test.circular: its Asks are more than 64: they must not lead back to itself")
	_, err = middleware.NewAuth(
		middleware.WithRevocations(nil, middleware.NewRevocations()), middleware.WithRevocations(bearer, nil),
		middleware.WithRevocations(middleware.Anonymous(), middleware.NewRevocations()),
		mustAuth(t, middleware.Anonymous(), bearer), &middleware.Auth{})
	wantErrors(t, err, "WithRevocations: the Authenticator is nil",
		"WithRevocations: the Revocations are nil", "Anonymous() has no credential to revoke",
		"it contains Anonymous(), which would count as a second credential", "it is the zero Auth")
	for name, list := range map[string][]middleware.Authenticator{
		"beside its WithRevocations":   {bearer, middleware.WithRevocations(bearer, middleware.NewRevocations())},
		"behind its WithRevocations":   {middleware.WithRevocations(bearer, middleware.NewRevocations()), bearer},
		"beside an Auth that holds it": {mustAuth(t, bearer), bearer},
		"in two Auths":                 {mustAuth(t, bearer), mustAuth(t, bearer)},
	} {
		if _, err := middleware.NewAuth(list...); err == nil || !strings.Contains(err.Error(), "it is given twice") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A circle of values that can be compared is found.
func TestNewAuthTakesRevocablesThatAskEachOther(t *testing.T) {
	t.Parallel()
	a := newCounting("X-A")
	b := newCounting("X-B", a)
	a.others = []middleware.Revocable{b}
	mustAuth(t, a)
}

// Attack: a source of revocations that is down, or made to be, keeps a connection open that another
// source knows to have ended. No answer of one hides the answer of another, in whatever order they
// were given.
func TestNoAnswerHidesNoEnd(t *testing.T) {
	t.Parallel()
	answers := map[string]func(context.Context) error{
		"good": nil,
		"ended": func(context.Context) error {
			return middleware.Unauthorized(middleware.ReasonCredentialExpired, errors.New("x"))
		},
		"barred": func(context.Context) error { return middleware.Forbidden(errors.New("x")) },
		"down":   func(context.Context) error { return errors.New("down") },
		"panics": func(context.Context) error { panic("down") },
		"deaf":   func(ctx context.Context) error { <-ctx.Done(); time.Sleep(time.Minute); return nil },
	}
	revoked := middleware.NewRevocations() // an authenticator with it bounds itself
	p := middleware.Principal{Issuer: "test", Subject: "ann", TokenHandle: "t"}
	if err := revoked.Revoke(t.Context(), middleware.Revocation{TokenHandle: "t"}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		say    []string
		listed bool // the first one has the list in which the credential is revoked
		want   string
	}{
		{say: []string{"good", "good"}, want: "alive"},
		{say: []string{"down", "ended"}, want: "credential_expired"},
		{say: []string{"ended", "down"}, want: "credential_expired"},
		{say: []string{"panics", "ended"}, want: "credential_expired"},
		{say: []string{"down", "good", "barred"}, want: "forbidden"},
		{say: []string{"down", "good"}, want: "unavailable"},
		{say: []string{"down"}, listed: true, want: "credential_revoked"},
		{say: []string{"deaf"}, listed: true, want: "credential_revoked"},
		{say: []string{"good", "deaf"}, listed: true, want: "credential_revoked"},
		{say: []string{"deaf", "good", "ended"}, want: "credential_expired"},
		{say: []string{"good", "deaf"}, want: "unavailable"},
	} {
		t.Run(strings.Join(tt.say, ", "), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var list []middleware.Authenticator
				for i, say := range tt.say {
					x := newCounting(string(rune('A' + i)))
					x.alive = answers[say]
					list = append(list, x)
				}
				if tt.listed {
					list[0] = middleware.WithRevocations(list[0], revoked)
				}
				got := "alive"
				err := mustAuth(t, list...).Alive(t.Context(), p)
				if f, ok := errors.AsType[*middleware.Refusal](err); ok {
					got = string(f.Reason)
				} else if err != nil {
					got = err.Error()
				}
				if got != tt.want {
					t.Errorf("%s, %v; want %s", got, err, tt.want)
				}
				time.Sleep(2 * time.Minute) // the deaf one returns
			})
		})
	}
	// The same for those that are asked without an Auth.
	x := newCounting("X")
	x.alive = answers["down"]
	if err := middleware.WithRevocations(x, revoked).Alive(t.Context(), p); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("without an Auth: %v", err)
	}
	x.alive = answers["ended"]
	down := strangeList{revoked: func(context.Context) (bool, error) { return false, errors.New("down") }}
	if err := middleware.WithRevocations(x, down).Alive(t.Context(), p); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("without an Auth, with a list that is down: %v", err)
	}
}
