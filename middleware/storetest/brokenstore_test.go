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

	"github.com/alexedwards/scs/v2"
)

// model is a store in memory that keeps the contract, but for one fault.
type model struct {
	fault string

	mu     sync.Mutex
	items  map[string]modelItem
	buffer []byte
	before map[string]modelItem // of the fault "reads from a replica": a change ago

	followers    []*modelFollower
	announcing   int           // announcements under way
	announceLock chan struct{} // of the fault "announces under its lock"
}

type modelItem struct {
	b       []byte
	expires time.Time
}

func newModel(fault string) *model {
	return &model{fault: fault, items: map[string]modelItem{}, before: map[string]modelItem{}, announceLock: make(chan struct{}, 1)}
}

// brokenStores returns the open of a store with the fault.
func brokenStores(fault string) func(testing.TB) scs.Store {
	m := newModel(fault)
	switch fault {
	case "reads from a cache":
		return func(testing.TB) scs.Store { return StaleReads(m) }
	case "has data of its own":
		return func(testing.TB) scs.Store { return newModel("") }
	case "announces to the handle alone", "announces to other handles alone":
		return brokenHandles(m)
	case "forgets at the end", "undoes deletes at the end":
		return func(t testing.TB) scs.Store {
			at := maps.Clone(m.items)
			t.Cleanup(func() {
				if fault == "forgets at the end" {
					m.items = at
				} else {
					maps.Copy(m.items, m.before)
				}
			})
			return m
		}
	}
	return func(testing.TB) scs.Store { return m }
}

func (m *model) is(fault string) bool { return m.fault == fault }

// over handles a context that has ended.
func (m *model) over(ctx context.Context) (bool, error) {
	if ctx.Err() == nil {
		return false, nil
	}
	if m.is("does not return if the context has ended") {
		<-time.After(time.Hour)
	}
	return true, ctx.Err()
}

func (m *model) key(key string) string {
	switch {
	case m.is("compares keys without capitals"):
		return strings.ToLower(key)
	case m.is("keeps 42 bytes of a key"):
		return key[:42]
	case m.is("keeps 42 bytes from the end of a key"):
		return key[1:]
	}
	return key
}

func (m *model) live(key string) (modelItem, bool) {
	x, ok := m.items[m.key(key)]
	if !ok || !time.Now().Before(x.expires) && !m.is("never expires") {
		return modelItem{}, false
	}
	return x, true
}

func (m *model) FindCtx(ctx context.Context, key string) ([]byte, bool, error) {
	if m.is("does not return from Find") {
		<-time.After(time.Hour)
	}
	if over, err := m.over(ctx); over {
		if m.is("finds nothing if the context has ended") {
			err = nil
		}
		return nil, false, err
	}
	if m.is("announces under its lock") {
		m.announceLock <- struct{}{}
		defer func() { <-m.announceLock }()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	x, ok := m.live(key)
	if m.is("reads from a replica") {
		x, ok = m.before[key]
		ok = ok && x.b != nil
	}
	switch {
	case !ok && m.is("fails for an absent key"):
		return nil, false, errors.New("no rows")
	case !ok && m.is("finds an absent key, empty"):
		return nil, true, nil
	case !ok && m.is("finds whatever is there"):
		for _, x := range m.items {
			return x.b, true, nil
		}
	case ok && m.is("returns memory that it uses again"):
		m.buffer = append(m.buffer[:0], x.b...)
		return m.buffer, true, nil
	case ok && m.is("writes in place"):
		return x.b, true, nil
	}
	return bytes.Clone(x.b), ok, nil
}

func (m *model) value(b []byte) []byte {
	switch {
	case m.is("ends values at a NUL byte"):
		b, _, _ = bytes.Cut(b, []byte{0})
	case m.is("replaces bytes that are not UTF-8"):
		b = bytes.ToValidUTF8(b, []byte("?"))
	case m.is("trims spaces"):
		b = bytes.TrimSpace(b)
	case m.is("keeps 65 bytes"):
		b = b[:min(65, len(b))]
	case m.is("keeps 63,999 bytes"):
		b = b[:min(63_999, len(b))]
	}
	return bytes.Clone(b)
}

func (m *model) expiry(key string, expires time.Time) time.Time {
	old, there := m.items[m.key(key)]
	ahead := time.Until(expires)
	switch {
	case m.is("takes local time for UTC"):
		y, mon, d := expires.Date()
		return time.Date(y, mon, d, expires.Hour(), expires.Minute(), expires.Second(), expires.Nanosecond(), time.UTC)
	case m.is("expires 5 s early"):
		return expires.Add(-5 * time.Second)
	case m.is("expires at once"), m.is("takes more than 30 days for a date") && ahead > 30*24*time.Hour:
		return time.Now()
	case m.is("keeps nothing for more than an hour") && ahead > time.Hour:
		return time.Time{}
	case m.is("keeps the first expiry") && there, m.is("keeps the later expiry") && there && old.expires.After(expires):
		return old.expires
	}
	return expires
}

func (m *model) CommitCtx(ctx context.Context, key string, b []byte, expires time.Time) error {
	if over, err := m.over(ctx); over {
		if m.is("commits nothing if the context has ended") {
			err = nil
		}
		return err
	}
	if m.is("writes later") {
		time.AfterFunc(time.Millisecond, func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			_ = m.put(key, b, expires)
		})
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.put(key, b, expires)
}

func (m *model) put(key string, b []byte, expires time.Time) error {
	old, there := m.items[m.key(key)]
	m.before[key] = old
	next := modelItem{m.value(b), m.expiry(key, expires)}
	switch {
	case m.is("keeps the first value") && there:
		return nil
	case m.is("appends") && there:
		next.b = append(bytes.Clone(old.b), next.b...)
	case m.is("writes in place") && there && len(old.b) == len(b):
		next.b = old.b
		copy(next.b, b)
	case m.is("writes in two steps"):
		half := modelItem{append(bytes.Clone(next.b[:len(next.b)/2]), bytes.Repeat([]byte{0}, len(next.b)-len(next.b)/2)...), next.expires}
		m.items[m.key(key)] = half
		m.mu.Unlock()
		<-time.After(time.Millisecond)
		m.mu.Lock()
	}
	m.items[m.key(key)] = next
	return nil
}

func (m *model) DeleteCtx(ctx context.Context, key string) error {
	if m.is("does not return from Delete") {
		<-time.After(time.Hour)
	}
	if over, err := m.over(ctx); over {
		if m.is("deletes nothing if the context has ended") {
			err = nil
		}
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.items[m.key(key)]
	m.before[key] = old
	switch {
	case m.is("does not delete"):
		return nil
	case m.is("fails to delete an absent key") && !ok:
		return errors.New("no rows")
	case m.is("deletes everything"):
		clear(m.items)
	case m.is("deletes by a pattern"):
		maps.DeleteFunc(m.items, func(k string, _ modelItem) bool { return k[1:42] == key[1:42] })
	case m.is("deletes later"):
		time.AfterFunc(time.Millisecond, func() { m.mu.Lock(); delete(m.items, key); m.mu.Unlock() })
		return nil
	}
	delete(m.items, m.key(key))
	return nil
}

func (m *model) AllCtx(ctx context.Context) (map[string][]byte, error) {
	if over, err := m.over(ctx); over {
		if m.is("lists nothing if the context has ended") {
			return map[string][]byte{}, nil
		}
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.is("lists nil") {
		return nil, nil
	}
	all := map[string][]byte{}
	for key, x := range m.items {
		switch {
		case !time.Now().Before(x.expires) && !m.is("lists what has expired"),
			len(x.b) > 1000 && m.is("lists no value above 1,000 bytes"):
		case m.is("lists with a prefix"):
			all["session:"+key] = x.b
		default:
			all[key] = bytes.Clone(x.b)
		}
	}
	if m.is("lists what was deleted") {
		for key, x := range m.before {
			if _, ok := all[key]; !ok {
				all[key] = x.b
			}
		}
	}
	return all, nil
}

func (m *model) Find(key string) ([]byte, bool, error) { return m.FindCtx(context.Background(), key) }

func (m *model) Delete(key string) error { return m.DeleteCtx(context.Background(), key) }

func (m *model) Commit(key string, b []byte, expires time.Time) error {
	return m.CommitCtx(context.Background(), key, b, expires)
}
