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
	{contract: "Take returns the bytes that Put was given, once", run: takesOnce},
	{contract: "a key that was never stored is ErrNotFound", run: takeAbsent},
	{contract: "of any number of concurrent calls of Take, one gets the ticket", run: takeOneWins},
	{contract: "Put does not replace a ticket", run: putKeeps},
	{contract: "of any number of concurrent calls of Put with one key, one stores", run: putOneWins},
	{contract: "Put stores a copy", run: putCopies},
	{contract: "a ticket ends after its ttl, and not before", run: ticketEnds, waits: true},
	{contract: "tickets outlive the handle that stored them", run: ticketsOutlive},
	{contract: "with an ended context Put and Take fail, or tell the truth", run: ticketsEndedContexts},
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

// take returns nil for ErrNotFound. It may be called in any goroutine.
func (b *ticketHandle) take(key string) []byte {
	b.t.Helper()
	value, err := ask(b.t, fmt.Sprintf("Take(%q)", key), func(ctx context.Context) ([]byte, error) { return b.s.Take(ctx, key) })
	switch {
	case errors.Is(err, ticket.ErrNotFound):
		return nil
	case err != nil:
		b.t.Errorf("Take(%q): %v", key, err)
	case len(value) == 0:
		b.t.Errorf("Take(%q) returns neither bytes nor an error", key)
		return nil
	}
	return value
}

// takes compares; a nil want is ErrNotFound.
func (b *ticketHandle) takes(when, key string, want []byte) {
	b.t.Helper()
	if got := b.take(key); !slices.Equal(got, want) || (got == nil) != (want == nil) {
		b.t.Errorf("%s: Take(%q) returns %s, want %s (nothing is ErrNotFound)", when, key, shown(got), shown(want))
	}
}

func takesOnce(t testing.TB, open func(testing.TB) ticket.Store) {
	a, b := ticketHandleOf(t, open), ticketHandleOf(t, open)
	for name, value := range map[string][]byte{
		"a byte": {0}, "JSON": []byte(`{"v":1,"p":"/ws"}`), "text that is not UTF-8": []byte("\xff\x00\xfe"),
		"16 KiB of every value": bytesOf(16<<10, 1),
	} {
		key := newKey()
		a.put(key, value, lifetime)
		b.takes(name+", by another handle (does open return other data each time?)", key, value)
		a.takes(name+", a second time", key, nil)
		b.takes(name+", a third time", key, nil)
	}
}

func takeAbsent(t testing.TB, open func(testing.TB) ticket.Store) {
	b := ticketHandleOf(t, open)
	key := newKey()
	b.takes("never stored", key, nil)
	b.put(key, []byte("ticket"), lifetime)
	b.takes("the same key in other capitals", swapCase(key), nil)
	b.takes("another last character", key[:42]+other(key[42]), nil)
	b.takes("stored after a Take in vain", key, []byte("ticket"))
}

func takeOneWins(t testing.TB, open func(testing.TB) ticket.Store) {
	const racers = 50
	handles := []*ticketHandle{ticketHandleOf(t, open), ticketHandleOf(t, open)}
	for range 20 {
		key := newKey()
		handles[0].put(key, []byte("ticket"), lifetime)
		var winners atomic.Int32
		together(racers, func(i int) {
			if value := handles[i%2].take(key); string(value) == "ticket" {
				winners.Add(1)
			} else if value != nil {
				t.Errorf("Take returns %s", shown(value))
			}
		})
		if n := winners.Load(); n != 1 {
			t.Errorf("%d of %d concurrent calls of Take got the ticket, want 1", n, racers)
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
	b.takes("after a Put of the same key", key, []byte("first"))
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
		handles[0].takes("after the race", key, fmt.Appendf(nil, "racer %d", winner.Load()))
	}
}

func putCopies(t testing.TB, open func(testing.TB) ticket.Store) {
	b := ticketHandleOf(t, open)
	key, value := newKey(), []byte("ticket")
	b.put(key, value, lifetime)
	copy(value, "XXXXXX")
	b.takes("after the caller has reused its slice", key, []byte("ticket"))
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
	if got := b.take(kept); string(got) != "kept" && asked.Before(stored.Add(ttl-early)) {
		t.Errorf("a ticket of %v is %s after %v", ttl, shown(got), asked.Sub(stored))
	}
	<-time.After(ttl + early)
	b.takes(fmt.Sprintf("a ticket of %v, %v after its end", ttl, early), short, nil)
	b.takes("a ticket of two minutes meanwhile", long, []byte("long"))
}

func ticketsOutlive(t testing.TB, open func(testing.TB) ticket.Store) {
	first := &process{TB: t}
	defer first.end()
	key, taken := newKey(), newKey()
	b := ticketHandleOf(first, open)
	b.put(key, []byte("kept"), lifetime)
	b.put(taken, []byte("taken"), lifetime)
	b.takes("stored", taken, []byte("taken"))
	first.end()
	b = ticketHandleOf(t, open)
	b.takes("after the handle that stored it was closed", key, []byte("kept"))
	b.takes("after the handle that took it was closed", taken, nil)
}

func ticketsEndedContexts(t testing.TB, open func(testing.TB) ticket.Store) {
	b := ticketHandleOf(t, open)
	for what, ctx := range ended() {
		key, stored := newKey(), newKey()
		returns(t, "Put with "+what, func() { b.putEnded(ctx, what, key) })
		b.put(stored, []byte("ticket"), lifetime)
		returns(t, "Take with "+what, func() {
			if _, err := b.s.Take(ctx, stored); errors.Is(err, ticket.ErrNotFound) {
				t.Errorf("Take with %s returns ErrNotFound for a ticket that is stored", what)
			} else if err == nil {
				b.takes("after Take with "+what+" has returned it", stored, nil)
			}
		})
	}
}

func (b *ticketHandle) putEnded(ctx context.Context, what, key string) {
	b.t.Helper()
	if err := b.s.Put(ctx, key, []byte("ticket"), lifetime); err == nil {
		b.takes("after Put with "+what+" has returned nil", key, []byte("ticket"))
	}
}
