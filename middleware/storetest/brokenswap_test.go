package storetest

import (
	"bytes"
	"context"
	"slices"
	"time"
)

func (m *model) FindMany(ctx context.Context, keys ...string) ([][]byte, error) {
	keys = slices.Clone(keys)
	if m.is("finds many in the order of the keys") {
		slices.Sort(keys)
	}
	if m.is("finds each key once") {
		slices.Sort(keys)
		keys = slices.Compact(keys)
	}
	if m.is("finds at most two") {
		keys = keys[:min(2, len(keys))]
	}
	var found [][]byte
	for _, key := range keys {
		b, ok, err := m.FindCtx(ctx, key)
		switch {
		case err != nil:
			return nil, err
		case !ok && m.is("leaves absent keys out"):
			continue
		case !ok && m.is("finds many with empty values for absent keys"):
			b = []byte{}
		case !ok && m.is("finds many that have expired"):
			b = m.items[key].b
		case m.is("finds many in a cache"):
			b = m.before[key].b
		}
		found = append(found, b)
	}
	return found, nil
}

func (m *model) Swap(ctx context.Context, key string, old, b []byte, expires time.Time) (bool, error) {
	if over, err := m.over(ctx); over {
		if m.is("swaps nothing if the context has ended") {
			err = nil
		}
		return m.is("says that it has swapped, and fails"), err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now, there := m.live(key)
	last, written := m.items[key]
	if m.is("takes expired entries for present") {
		there, now = written, last
	}
	if m.is("moves the expiry in every Swap") && written {
		m.items[key] = modelItem{last.b, expires}
	}
	if m.is("writes before it compares") {
		defer m.put(key, b, expires)
	}
	equal := there == (old != nil) && bytes.Equal(now.b, old)
	n := min(len(now.b), len(old))
	switch {
	case m.is("swaps always"),
		m.is("swaps a nil old always") && old == nil,
		m.is("inserts whatever old is") && !there,
		m.is("compares the length") && there && len(now.b) == len(old),
		m.is("compares the beginning") && there && bytes.Equal(now.b[:n], old[:n]),
		m.is("compares 1,000 bytes") && there && len(now.b) == len(old) && bytes.Equal(now.b[:min(n, 1000)], old[:min(n, 1000)]),
		m.is("compares what has expired") && written && bytes.Equal(last.b, old):
		equal = true
	case m.is("swaps never"):
		equal = false
	}
	if !equal {
		return m.is("says that each swap has written"), nil
	}
	if m.is("compares, and writes later") {
		m.mu.Unlock()
		<-time.After(time.Millisecond)
		m.mu.Lock()
	}
	if m.is("keeps the expiry in Swap") && there {
		expires = now.expires
	}
	return true, m.put(key, b, expires)
}
