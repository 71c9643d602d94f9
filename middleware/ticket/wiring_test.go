package ticket_test

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
	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/ticket"
)

// unruly is a Store that misbehaves on command.
type unruly struct {
	eternal
	do   func(ctx context.Context)
	held atomic.Int32
}

func (s *unruly) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.held.Add(1)
	s.do(ctx)
	return s.eternal.Put(ctx, key, value, ttl)
}

func (s *unruly) Consume(ctx context.Context, key string) ([]byte, error) {
	s.held.Add(1)
	s.do(ctx)
	return s.eternal.Consume(ctx, key)
}

// A Store that does not return, or panics, costs 1 s and no more: 503, or 500 without the
// value of the panic (ASVS 16.5.3, 16.2.5).
func TestStoresThatMisbehave(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(ctx context.Context)
		want string
		took time.Duration
	}{
		{"sleeps", func(context.Context) { time.Sleep(time.Minute) }, "503 unavailable", time.Second},
		{"waits for its context", func(ctx context.Context) { <-ctx.Done(); panic("too late") }, "503 unavailable", time.Second},
		{"panics", func(context.Context) { panic("secret") }, "500 internal", 0},
		{
			"panics late", func(context.Context) { time.Sleep(time.Second / 2); panic(errors.New("secret")) },
			"500 internal", time.Second / 2,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tickets := newTickets(t, ticket.Config{Store: &unruly{do: tt.do}})
				route := auth(t, tickets)
				for what, use := range map[string]func() (*httptest.ResponseRecorder, string){
					"issue": func() (*httptest.ResponseRecorder, string) { return serve(tickets.Issue(), post(app, "ann")) },
					"consume": func() (*httptest.ResponseRecorder, string) {
						return serve(route.Handler(http.NotFoundHandler()), offering("chat, ticket."+some))
					},
				} {
					start := time.Now()
					w, got := use()
					if took := time.Since(start); got != tt.want || took != tt.took || strings.Contains(w.Body.String(), "secret") {
						t.Errorf("%s: %s after %v, want %s after %v", what, got, took, tt.want, tt.took)
					}
				}
				if _, err := tickets.Authenticate(offering("chat, ticket." + some)); err == nil || strings.Contains(err.Error(), "secret") {
					t.Errorf("the cause for the log: %v", err)
				}
				start := time.Now()
				tickets.Consume(offering("chat, ticket." + some))
				if took := time.Since(start); took != tt.took {
					t.Errorf("Consume took %v", took)
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait()
			})
		})
	}
}

const some = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// A Store that never returns holds at most 256 goroutines, and a request without a ticket
// is not delayed.
func TestAStoreThatNeverReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		store := &unruly{do: func(context.Context) { <-release }}
		tickets := newTickets(t, ticket.Config{Store: store})
		route := auth(t, tickets, user{})
		start := time.Now()
		got := make(chan string)
		for range 1000 {
			go func() {
				_, err := route.Authenticate(offering("chat, ticket." + some))
				got <- outcome(err)
			}()
		}
		other := offering("chat")
		other.Header.Set("X-User", "ann")
		if _, err := route.Authenticate(other); err != nil || time.Since(start) != 0 {
			t.Errorf("another credential: %v after %v", err, time.Since(start))
		}
		for range 1000 {
			if got := <-got; got != "503 unavailable" {
				t.Errorf("answered %s", got)
			}
		}
		if took := time.Since(start); took != time.Second || store.held.Load() != bounded.MaxCalls {
			t.Errorf("%v, %d calls held; want 1s, 256", took, store.held.Load())
		}
		close(release)
		synctest.Wait()
		if _, err := route.Authenticate(offering("chat, ticket." + some)); outcome(err) != invalid {
			t.Errorf("after it is released: %v", err)
		}
	})
}

// sluggish is a Revocable whose Alive misbehaves on command.
type sluggish struct {
	user
	alive func(ctx context.Context) error
}

func (s *sluggish) Alive(ctx context.Context, _ middleware.Principal) error { return s.alive(ctx) }
func (*sluggish) Follow(func(middleware.Revocation)) func()                 { return func() {} }

// The question about the credential behind a ticket is bounded as well.
func TestAuthsThatMisbehave(t *testing.T) {
	for _, tt := range []struct {
		name  string
		alive func(ctx context.Context) error
		want  string
		took  time.Duration
	}{
		{"says that it ended", func(context.Context) error {
			return middleware.Unauthorized(middleware.ReasonCredentialRevoked, nil)
		}, "401 credential_revoked", 0},
		{"says that it is no longer allowed", func(context.Context) error { return middleware.Forbidden(nil) }, "403 forbidden", 0},
		{"does not know", func(context.Context) error { return errors.New("secret") }, "503 unavailable", 0},
		{"sleeps", func(context.Context) error { time.Sleep(time.Minute); return nil }, "503 unavailable", time.Second},
		{"panics", func(context.Context) error { panic("secret") }, "500 internal", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tickets := newTickets(t, ticket.Config{Auth: auth(t, &sluggish{alive: tt.alive})})
				a := fetch(t, tickets, app, "ann")
				start := time.Now()
				w, got := serve(auth(t, tickets).Handler(http.NotFoundHandler()), offering("chat, "+a.Subprotocol))
				if took := time.Since(start); got != tt.want || took != tt.took || strings.Contains(w.Body.String(), "secret") {
					t.Errorf("%s after %v, want %s after %v", got, took, tt.want, tt.took)
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait()
			})
		})
	}
}

// middleware.Revocable: Alive and Follow are those of Config.Auth, for tickets only.
func TestAliveAndFollow(t *testing.T) {
	revocations := middleware.NewRevocations()
	tickets := newTickets(t, ticket.Config{Auth: auth(t, middleware.WithRevocations(user{}, revocations))})
	p, err := tickets.Authenticate(offering("chat, " + fetch(t, tickets, app, "ann").Subprotocol))
	if err != nil {
		t.Fatal(err)
	}
	if err := tickets.Alive(t.Context(), p); err != nil {
		t.Errorf("before: %v", err)
	}
	told := 0
	stop := tickets.Follow(func(middleware.Revocation) { told++ })
	_ = revocations.Revoke(t.Context(), middleware.Revocation{SessionHandle: p.SessionHandle})
	stop()
	_ = revocations.Revoke(t.Context(), middleware.Revocation{SessionHandle: "another"})
	if told != 1 {
		t.Errorf("told %d times, want once", told)
	}
	if err := tickets.Alive(t.Context(), p); outcome(err) != "401 credential_revoked" {
		t.Errorf("after: %s", outcome(err))
	}
	if err := tickets.Alive(t.Context(), ann("ann")); err != nil {
		t.Errorf("a principal that is not of a ticket: %v", err)
	}
	for _, zero := range []*ticket.Tickets{nil, {}} {
		zero.Follow(nil)()
		if err := zero.Alive(t.Context(), p); outcome(err) != invalid || zero.Asks() != nil {
			t.Errorf("the zero Tickets: %s", outcome(err))
		}
	}
}

func TestTicketsBoundThemselves(t *testing.T) {
	for _, x := range []any{&ticket.Tickets{}, &ticket.MemoryStore{}} {
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

// The principal of a ticket says when the credential behind it may end: as of the answer to its
// redemption, not of the request that it was issued in.
func TestPrincipalsSayWhenTheirCredentialMayEnd(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	source := &sluggish{
		user: user{func(name string) middleware.Principal {
			p := ann(name)
			p.SetRecheckBy(contextkey.Key(), noon)
			return p
		}},
		alive: func(ctx context.Context) error { middleware.RecheckBy(ctx, noon.Add(time.Hour)); return nil },
	}
	tickets := newTickets(t, ticket.Config{Auth: auth(t, source)})
	p, err := tickets.Authenticate(offering("chat, " + fetch(t, tickets, app, "ann").Subprotocol))
	if err != nil || !p.RecheckBy().Equal(noon.Add(time.Hour)) {
		t.Errorf("%v, %v; want an hour after noon", p.RecheckBy(), err)
	}
}
