package ticket_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
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
			v, err := m.Consume(ctx, key)
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

// A ticket that has ended makes room, even if one with a longer life was put before it.
func TestMemoryStoreOfSeveralLifetimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, ctx := newMemory(t, 3), t.Context()
		for key, ttl := range map[string]time.Duration{"a": 2 * time.Minute, "b": time.Second, "c": 30 * time.Second} {
			if err := m.Put(ctx, key, []byte(key), ttl); err != nil {
				t.Fatal(err)
			}
		}
		put := func(key string, want error) {
			t.Helper()
			if err := m.Put(ctx, key, nil, 2*time.Minute); !errors.Is(err, want) {
				t.Errorf("put %s: %v, want %v", key, err, want)
			}
		}
		put("d", ticket.ErrFull)
		time.Sleep(time.Second)
		put("d", nil) // the place of b
		put("e", ticket.ErrFull)
		if v, err := m.Consume(ctx, "c"); string(v) != "c" {
			t.Errorf("c: %q, %v", v, err)
		}
		put("e", nil)
		time.Sleep(118 * time.Second)
		if v, err := m.Consume(ctx, "a"); string(v) != "a" {
			t.Errorf("a within its two minutes: %q, %v", v, err)
		}
	})
}

// A store without a further Put keeps ended tickets until the next Consume, even one that
// finds nothing.
func TestMemoryStoreLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count, size = 1000, 16 << 10
		m, ctx := newMemory(t, 0), t.Context()
		before := heapInUse()
		for i := range count {
			if err := m.Put(ctx, fmt.Sprint(i), make([]byte, size), time.Duration(30+i%7)*time.Second); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if _, err := m.Consume(ctx, "none"); !errors.Is(err, ticket.ErrNotFound) {
			t.Error(err)
		}
		if left := heapInUse() - before; left > count*size/10 {
			t.Errorf("%d KiB are left of %d", left>>10, count*size>>10)
		}
		runtime.KeepAlive(m)
	})
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Many at once, of many lifetimes: each is taken once, and none before or after its time.
func TestMemoryStoreIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, ctx := newMemory(t, 0), t.Context()
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				key, ttl := fmt.Sprint(i), time.Duration(1+i*37%100)*time.Second
				if err := m.Put(ctx, key, []byte(key), ttl); err != nil {
					t.Error(err)
				}
				late := i%2 == 0
				if late {
					time.Sleep(ttl)
				} else {
					time.Sleep(ttl - time.Millisecond)
				}
				if v, err := m.Consume(ctx, key); (err != nil) != late || !late && string(v) != key {
					t.Errorf("%s of %v, late %v: %q, %v", key, ttl, late, v, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestMemoryStoreKeepsItsOwnCopy(t *testing.T) {
	t.Parallel()
	m, value := newMemory(t, 0), []byte("value")
	if err := m.Put(t.Context(), "k", value, time.Minute); err != nil {
		t.Fatal(err)
	}
	value[0] = 'X'
	if v, _ := m.Consume(t.Context(), "k"); string(v) != "value" {
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
