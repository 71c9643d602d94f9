package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/securews/securews/middleware/ticket"
)

// Tickets tests a store for ticket.Config.Store. The open function returns a handle; every
// handle has the same data, see the package. The store must have room for 200 tickets of
// 16 KiB.
func Tickets(t *testing.T, open func(testing.TB) ticket.Store) {
	t.Helper()
	runAll(t, "Tickets", open, ticketChecks)
}

var ticketChecks = []check[ticket.Store]{
	{contract: "Consume returns the bytes that Put was given, once", run: consumesOnce},
	{contract: "a key that was never stored is ErrNotFound", run: consumeAbsent},
	{contract: "of any number of concurrent calls of Consume, one gets the ticket", run: consumeOneWins},
	{contract: "Put does not replace a ticket", run: putKeeps},
	{contract: "of any number of concurrent calls of Put with one key, one stores", run: putOneWins},
	{contract: "Put stores a copy", run: putCopies},
	{contract: "a ticket ends after its ttl, and not before", run: ticketEnds, waits: true},
	{contract: "tickets outlive the handle that stored them", run: ticketsOutlive},
	{contract: "with an ended context Put and Consume fail, or tell the truth", run: ticketsEndedContexts},
}

// ticketHandle is the handle of a ticket.Store.
type ticketHandle struct {
	t testing.TB
	s ticket.Store
}

func ticketHandleOf(t testing.TB, open func(testing.TB) ticket.Store) *ticketHandle {
	t.Helper()
	return &ticketHandle{t, opened(t, open)}
}

// lifetime is the longest of a ticket.
const lifetime = 2 * time.Minute

func (b *ticketHandle) put(key string, value []byte, ttl time.Duration) {
	b.t.Helper()
	_, err := ask(b.t, fmt.Sprintf("Put(%q)", key), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.s.Put(ctx, key, value, ttl)
	})
	if err != nil {
		b.t.Errorf("Put(%q, %s, %v): %v", key, shown(value), ttl, err)
	}
}

// consume returns nil for ErrNotFound. It may be called in any goroutine.
func (b *ticketHandle) consume(key string) []byte {
	b.t.Helper()
	value, err := ask(b.t, fmt.Sprintf("Consume(%q)", key), func(ctx context.Context) ([]byte, error) { return b.s.Consume(ctx, key) })
	switch {
	case errors.Is(err, ticket.ErrNotFound):
		return nil
	case err != nil:
		b.t.Errorf("Consume(%q): %v", key, err)
	case len(value) == 0:
		b.t.Errorf("Consume(%q) returns neither bytes nor an error", key)
		return nil
	}
	return value
}

// consumes compares; a nil want is ErrNotFound.
func (b *ticketHandle) consumes(when, key string, want []byte) {
	b.t.Helper()
	if got := b.consume(key); !slices.Equal(got, want) || (got == nil) != (want == nil) {
		b.t.Errorf("%s: Consume(%q) returns %s, want %s (nothing is ErrNotFound)", when, key, shown(got), shown(want))
	}
}

func consumesOnce(t testing.TB, open func(testing.TB) ticket.Store) {
	a, b := ticketHandleOf(t, open), ticketHandleOf(t, open)
	for name, value := range map[string][]byte{
		"a byte": {0}, "JSON": []byte(`{"v":1,"p":"/ws"}`), "text that is not UTF-8": []byte("\xff\x00\xfe"),
		"16 KiB of every value": bytesOf(16<<10, 1),
	} {
		key := newKey()
		a.put(key, value, lifetime)
		b.consumes(name+", by another handle (does open return other data each time?)", key, value)
		a.consumes(name+", a second time", key, nil)
		b.consumes(name+", a third time", key, nil)
	}
}

func consumeAbsent(t testing.TB, open func(testing.TB) ticket.Store) {
	b := ticketHandleOf(t, open)
	key := newKey()
	b.consumes("never stored", key, nil)
	b.put(key, []byte("ticket"), lifetime)
	b.consumes("the same key in other capitals", swapCase(key), nil)
	b.consumes("another last character", key[:42]+other(key[42]), nil)
	b.consumes("stored after a Consume in vain", key, []byte("ticket"))
}

func consumeOneWins(t testing.TB, open func(testing.TB) ticket.Store) {
	const racers = 50
	handles := []*ticketHandle{ticketHandleOf(t, open), ticketHandleOf(t, open)}
	for range 20 {
		key := newKey()
		handles[0].put(key, []byte("ticket"), lifetime)
		var winners atomic.Int32
		together(racers, func(i int) {
			if value := handles[i%2].consume(key); string(value) == "ticket" {
				winners.Add(1)
			} else if value != nil {
				t.Errorf("Consume returns %s", shown(value))
			}
		})
		if n := winners.Load(); n != 1 {
			t.Errorf("%d of %d concurrent calls of Consume got the ticket, want 1", n, racers)
			return
		}
	}
}

func (b *ticketHandle) tryPut(key string, value []byte) error {
	ctx, cancel := limited()
	defer cancel()
	return b.s.Put(ctx, key, value, lifetime)
}

func putKeeps(t testing.TB, open func(testing.TB) ticket.Store) {
	a, b := ticketHandleOf(t, open), ticketHandleOf(t, open)
	key := newKey()
	a.put(key, []byte("first"), lifetime)
	for _, s := range []*ticketHandle{a, b} {
		if err := s.tryPut(key, []byte("second")); err == nil {
			t.Error("Put of a key that is stored returns nil, want an error: the caller believes that its ticket is stored")
		}
	}
	b.consumes("after a Put of the same key", key, []byte("first"))
}

func putOneWins(t testing.TB, open func(testing.TB) ticket.Store) {
	handles := []*ticketHandle{ticketHandleOf(t, open), ticketHandleOf(t, open)}
	for range 5 {
		key := newKey()
		var winners atomic.Int32
		var winner atomic.Int64
		together(20, func(i int) {
			if handles[i%2].tryPut(key, fmt.Appendf(nil, "racer %d", i)) == nil {
				winners.Add(1)
				winner.Store(int64(i))
			}
		})
		if n := winners.Load(); n != 1 {
			t.Errorf("%d of 20 concurrent calls of Put with one key returned nil, want 1", n)
		}
		handles[0].consumes("after the race", key, fmt.Appendf(nil, "racer %d", winner.Load()))
	}
}

func putCopies(t testing.TB, open func(testing.TB) ticket.Store) {
	b := ticketHandleOf(t, open)
	key, value := newKey(), []byte("ticket")
	b.put(key, value, lifetime)
	copy(value, "XXXXXX")
	b.consumes("after the caller has reused its slice", key, []byte("ticket"))
}

func ticketEnds(t testing.TB, open func(testing.TB) ticket.Store) {
	b := ticketHandleOf(t, open)
	const ttl = 3 * time.Second
	kept, short, long := newKey(), newKey(), newKey()
	stored := time.Now()
	b.put(kept, []byte("kept"), ttl)
	b.put(short, []byte("short"), ttl)
	b.put(long, []byte("long"), lifetime)
	asked := time.Now()
	if got := b.consume(kept); string(got) != "kept" && asked.Before(stored.Add(ttl-early)) {
		t.Errorf("a ticket of %v is %s after %v", ttl, shown(got), asked.Sub(stored))
	}
	<-time.After(ttl + early)
	b.consumes(fmt.Sprintf("a ticket of %v, %v after its end", ttl, early), short, nil)
	b.consumes("a ticket of two minutes meanwhile", long, []byte("long"))
}

func ticketsOutlive(t testing.TB, open func(testing.TB) ticket.Store) {
	first := &process{TB: t}
	defer first.end()
	key, taken := newKey(), newKey()
	b := ticketHandleOf(first, open)
	b.put(key, []byte("kept"), lifetime)
	b.put(taken, []byte("taken"), lifetime)
	b.consumes("stored", taken, []byte("taken"))
	first.end()
	b = ticketHandleOf(t, open)
	b.consumes("after the handle that stored it was closed", key, []byte("kept"))
	b.consumes("after the handle that took it was closed", taken, nil)
}

func ticketsEndedContexts(t testing.TB, open func(testing.TB) ticket.Store) {
	b := ticketHandleOf(t, open)
	for what, ctx := range ended() {
		key, stored := newKey(), newKey()
		returns(t, "Put with "+what, func() { b.putEnded(ctx, what, key) })
		b.put(stored, []byte("ticket"), lifetime)
		returns(t, "Consume with "+what, func() {
			if _, err := b.s.Consume(ctx, stored); errors.Is(err, ticket.ErrNotFound) {
				t.Errorf("Consume with %s returns ErrNotFound for a ticket that is stored", what)
			} else if err == nil {
				b.consumes("after Consume with "+what+" has returned it", stored, nil)
			}
		})
	}
}

func (b *ticketHandle) putEnded(ctx context.Context, what, key string) {
	b.t.Helper()
	if err := b.s.Put(ctx, key, []byte("ticket"), lifetime); err == nil {
		b.consumes("after Put with "+what+" has returned nil", key, []byte("ticket"))
	}
}
