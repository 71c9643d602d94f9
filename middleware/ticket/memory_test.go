package ticket_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware/ticket"
)

func newMemory(t *testing.T, most int) *ticket.MemoryStore {
	t.Helper()
	m, err := ticket.NewMemoryStore(most)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMemoryStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, ctx := newMemory(t, 2), t.Context()
		put := func(key string, want error) {
			t.Helper()
			if err := m.Put(ctx, key, []byte("v-"+key), 30*time.Second); !errors.Is(err, want) {
				t.Errorf("put %s: %v, want %v", key, err, want)
			}
		}
		take := func(key, want string) {
			t.Helper()
			v, err := m.Take(ctx, key)
			if string(v) != want || (want == "") != errors.Is(err, ticket.ErrNotFound) {
				t.Errorf("take %s: %q, %v, want %q", key, v, err, want)
			}
		}
		put("a", nil)
		if err := m.Put(ctx, "a", []byte("other"), time.Hour); err == nil {
			t.Error("what was there is replaced")
		}
		time.Sleep(10 * time.Second)
		put("b", nil)
		put("c", ticket.ErrFull)
		take("a", "v-a")
		take("a", "")
		put("c", nil) // the place of a
		time.Sleep(20 * time.Second)
		take("c", "v-c")
		time.Sleep(10 * time.Second)
		take("b", "")
		put("d", nil)
		put("e", nil)
		time.Sleep(30 * time.Second)
		put("f", nil) // the time of d is over
		put("g", nil)
		put("h", ticket.ErrFull)
		take("d", "")
	})
}

func TestMemoryStoreKeepsItsOwnCopy(t *testing.T) {
	t.Parallel()
	m, value := newMemory(t, 0), []byte("value")
	if err := m.Put(t.Context(), "k", value, time.Minute); err != nil {
		t.Fatal(err)
	}
	value[0] = 'X'
	if v, _ := m.Take(t.Context(), "k"); string(v) != "value" {
		t.Errorf("took %q", v)
	}
}

// At the bound, which is 16,384, a new ticket is refused with 503 and the others stay good.
func TestFullStoreRefuses(t *testing.T) {
	t.Parallel()
	store := newMemory(t, 0)
	tickets := newTickets(t, ticket.Config{Store: store})
	first := fetch(t, tickets, app, "ann")
	for i := range 16_383 {
		if err := store.Put(t.Context(), fmt.Sprint(i), nil, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	w, got := serve(auth(t, user{}).Handler(tickets.Issue()), post(app, "bob"))
	if got != "503 overloaded" || w.Header().Get("Retry-After") == "" {
		t.Errorf("answered %s", got)
	}
	if _, err := tickets.Authenticate(offering("chat, " + first.Subprotocol)); err != nil {
		t.Errorf("an earlier ticket: %v", err)
	}
	fetch(t, tickets, app, "bob")
}

func TestMemoryStoreMistakes(t *testing.T) {
	t.Parallel()
	if _, err := ticket.NewMemoryStore(-1); err == nil {
		t.Error("a negative bound is accepted")
	}
	var zero ticket.MemoryStore
	if err := zero.Put(t.Context(), "k", nil, time.Minute); !errors.Is(err, ticket.ErrFull) {
		t.Errorf("the zero store: %v", err)
	}
}
