package ticket_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/ticket"
)

// broken is a Store that fails, or has another record.
type broken struct {
	err   error
	value []byte
}

func (b broken) Put(context.Context, string, []byte, time.Duration) error { return b.err }
func (b broken) Consume(context.Context, string) ([]byte, error)          { return b.value, b.err }

// downLater fails from the second question on, which is that of the redemption.
type downLater struct {
	middleware.Revocations
	asked int
	err   error
}

func (d *downLater) Revoked(context.Context, middleware.Principal) (bool, error) {
	if d.asked++; d.asked > 1 {
		return false, d.err
	}
	return false, nil
}

// hanging waits until it is told to give up.
type hanging struct{}

func (hanging) Put(ctx context.Context, _ string, _ []byte, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

func (hanging) Consume(ctx context.Context, _ string) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// Fail closed: a store or revocations that fail are 503, and a foreign record opens
// nothing.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	down := errors.New("dial tcp 10.0.0.9:6379: refused")
	check := func(t *testing.T, tickets *ticket.Tickets, protocols, want string) {
		t.Helper()
		_, err := tickets.Authenticate(offering(protocols))
		if outcome(err) != want {
			t.Errorf("answered %s, want %s", outcome(err), want)
		}
		var f *middleware.Refusal
		if strings.HasPrefix(want, "503") && (!errors.As(err, &f) || f.Header.Get("Retry-After") == "") {
			t.Error("no Retry-After")
		}
	}
	t.Run("the store", func(t *testing.T) {
		tickets := newTickets(t, ticket.Config{Store: broken{err: down}})
		check(t, tickets, "chat, ticket."+some, "503 unavailable")
		if _, got := serve(tickets.Issue(), post(app, "ann")); got != "503 unavailable" {
			t.Errorf("issue: %s", got)
		}
	})
	t.Run("a store that hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			tickets := newTickets(t, ticket.Config{Store: hanging{}})
			check(t, tickets, "chat, ticket."+some, "503 unavailable")
			if _, got := serve(tickets.Issue(), post(app, "ann")); got != "503 unavailable" {
				t.Errorf("issue: %s", got)
			}
			if took := time.Since(start); took != 2*time.Second {
				t.Errorf("both took %v", took)
			}
		})
	})
	t.Run("the revocations", func(t *testing.T) {
		tickets := newTickets(t, ticket.Config{Auth: auth(t, middleware.WithRevocations(user{}, &downLater{err: down}))})
		check(t, tickets, "chat, "+fetch(t, tickets, app, "ann").Subprotocol, "503 unavailable")
	})
	t.Run("a record that is none", func(t *testing.T) {
		for _, value := range []string{
			"", "{}", "null", "[]",
			`{"v":2,"path":"/ws","origin":"https://app.example","cid":"c","exp":"2126-01-01T00:00:00Z",` +
				`"principal":{"iss":"i","sub":"s","method":"session"}}`,
		} {
			check(t, newTickets(t, ticket.Config{Store: broken{value: []byte(value)}}), "chat, ticket."+some, invalid)
		}
	})
}

// eternal is a Store that keeps tickets for ever.
type eternal struct{ m sync.Map }

func (e *eternal) Put(_ context.Context, key string, value []byte, _ time.Duration) error {
	e.m.Store(key, value)
	return nil
}

func (e *eternal) Consume(_ context.Context, key string) ([]byte, error) {
	v, ok := e.m.LoadAndDelete(key)
	if !ok {
		return nil, ticket.ErrNotFound
	}
	return v.([]byte), nil
}
