package session

import (
	"bytes"
	"context"
	"errors"
	"time"
)

var errContended = errors.New("session: the record changed each time it was to be written")

// attempts bounds the swaps of one change: each failed one means that another was written.
const attempts = 16

// insert writes a record under a new handle.
func (m *Manager) insert(ctx context.Context, handle string, rec *record) error {
	b, err := rec.encode()
	if err != nil {
		return err
	}
	done, err := m.store.write(ctx, handle, nil, b, m.expiry(rec))
	if err == nil && !done {
		err = errContended // 256 random bits, twice
	}
	return err
}

// rewrite reads the record again, has edit change a copy, and writes it. A session
// that has ended is not written: errGone, errRevoked. One that ends while it is being
// written is deleted again.
func (m *Manager) rewrite(ctx context.Context, handle string, edit func(*record) error) error {
	for range attempts {
		now, err := m.read(ctx, handle)
		if err != nil {
			return err
		}
		rec, old, next := now.rec, now.b, *now.rec
		if err := edit(&next); err != nil {
			return err
		}
		if at := time.Now(); m.due(rec, at) {
			next.seen = at.UnixNano()
		}
		b, err := next.encode()
		if err != nil || bytes.Equal(b, old) {
			return err
		}
		done, err := m.store.write(ctx, handle, old, b, m.expiry(&next))
		if err != nil {
			return err
		}
		if done {
			return m.undoRevoked(ctx, handle)
		}
	}
	return errContended
}

// undoRevoked deletes a record that was written beside a sign-out. If that fails, the
// tombstone and the marks outlive the record, and every read refuses it. A store that
// compares has not written a record that was gone.
func (m *Manager) undoRevoked(ctx context.Context, handle string) error {
	if m.store.swapper != nil && m.revocations == nil {
		return nil
	}
	_, err := m.read(ctx, handle)
	if errors.Is(err, errRevoked) {
		return errors.Join(err, m.store.delete(ctx, handle))
	}
	return err
}
