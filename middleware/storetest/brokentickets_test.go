package storetest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/securews/securews/middleware/ticket"
)

// drawer is a ticket store that keeps the contract, but for one fault.
type drawer struct {
	fault string
	mu    sync.Mutex
	items map[string]modelItem
}

func newDrawer(fault string) *drawer { return &drawer{fault: fault, items: map[string]modelItem{}} }

func brokenTickets(fault string) func(testing.TB) ticket.Store {
	d := newDrawer(fault)
	switch fault {
	case "has data of its own":
		return func(testing.TB) ticket.Store { return newDrawer("") }
	case "forgets at the end":
		return func(t testing.TB) ticket.Store {
			at := maps.Clone(d.items)
			t.Cleanup(func() { d.items = at })
			return d
		}
	}
	return func(testing.TB) ticket.Store { return d }
}

func (d *drawer) is(fault string) bool { return d.fault == fault }

func (d *drawer) key(key string) string {
	switch {
	case d.is("compares keys without capitals"):
		return strings.ToLower(key)
	case d.is("keeps 42 bytes of a key"):
		return key[:42]
	}
	return key
}

// gap lets others go first.
func (d *drawer) gap() {
	d.mu.Unlock()
	<-time.After(time.Millisecond)
	d.mu.Lock()
}

func (d *drawer) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if ctx.Err() != nil {
		switch {
		case d.is("does not return if the context has ended"):
			<-time.After(time.Hour)
		case d.is("stores nothing if the context has ended"):
			return nil
		}
		return ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key = d.key(key)
	_, there := d.items[key]
	if d.is("looks, and stores later") {
		d.gap()
	}
	switch {
	case there && d.is("drops the second, without an error"):
		return nil
	case there && !d.is("replaces"):
		return errors.New("there is one")
	}
	switch {
	case d.is("ends values at a NUL byte"):
		value, _, _ = bytes.Cut(value, []byte{0})
	case d.is("keeps 16,383 bytes"):
		value = value[:min(16_383, len(value))]
	case d.is("expires at once"):
		ttl = 0
	}
	if !d.is("keeps the slice of Put") {
		value = bytes.Clone(value)
	}
	d.items[key] = modelItem{value, time.Now().Add(ttl)}
	return nil
}

func (d *drawer) Consume(ctx context.Context, key string) ([]byte, error) {
	over := ctx.Err()
	if over != nil {
		switch {
		case d.is("does not return if the context has ended"):
			<-time.After(time.Hour)
		case d.is("finds nothing if the context has ended"):
			return nil, ticket.ErrNotFound
		case !d.is("returns without removing if the context has ended"):
			return nil, over
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key = d.key(key)
	x, ok := d.items[key]
	switch {
	case !ok && d.is("has an error of its own"):
		return nil, errors.New("no rows")
	case ok && !time.Now().Before(x.expires) && d.is("expires all with the first"):
		clear(d.items)
		return nil, ticket.ErrNotFound
	case !ok && d.is("returns nothing the second time"):
		return nil, nil
	case !ok, !time.Now().Before(x.expires) && !d.is("never expires"):
		return nil, ticket.ErrNotFound
	case d.is("does not remove"), over != nil:
		return x.b, nil
	case d.is("reads, and removes later"):
		d.gap()
	}
	delete(d.items, key)
	return x.b, nil
}
