package session

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/followers"
	"github.com/securews/securews/internal/unixnano"
	"github.com/securews/securews/middleware"
)

// ends are the ends of sessions and tokens, in a store.
type ends struct {
	boundsItself

	store     store
	issuer    string // of the Manager; empty without one
	timeout   time.Duration
	locks     locks
	followers followers.List[middleware.Revocation]
}

func newEnds(s store, issuer string, timeout time.Duration) *ends {
	return &ends{store: s, issuer: issuer, timeout: timeout, locks: newLocks()}
}

// replaceEverywhere replaces the mark of a sign-out everywhere. It reads and compares nothing, so
// that no other operation can delay or undo it.
func (x *ends) replaceEverywhere(ctx context.Context, issuer, subject string) error {
	return x.store.put(ctx, entryKey(kindEverywhere, issuer, subject),
		entryValue(kindEverywhere, newMark()), time.Now().Add(entryRetention))
}

// tombstoneSize is that of the payload of kindEnded and kindToken: the end of the entry, in Unix
// nanoseconds.
const tombstoneSize = 8

// tombstone writes that a session or a token has ended. It is kept until expires, and at
// least a minute.
func (x *ends) tombstone(ctx context.Context, kind byte, handle string, expires time.Time) error {
	value, until := tombstoneValue(kind, expires)
	return x.store.put(ctx, entryKey(kind, "", handle), value, until)
}

func tombstoneValue(kind byte, expires time.Time) (b []byte, until time.Time) {
	end := max(unixnano.Of(expires), unixnano.Of(time.Now().Add(time.Minute)))
	return entryValue(kind, string(binary.BigEndian.AppendUint64(nil, uint64(end)))), time.Unix(0, end)
}

// prolongTombstone is tombstone, except that it does not shorten one that is there.
func (x *ends) prolongTombstone(ctx context.Context, kind byte, handle string, expires time.Time) error {
	key := entryKey(kind, "", handle)
	return x.inTurn(ctx, key, func() error {
		b, err := x.store.findRaw(ctx, key)
		if err != nil {
			return err
		}
		now, err := fixedPayload(b, kind, tombstoneSize)
		if err != nil || now != "" && int64(binary.BigEndian.Uint64([]byte(now))) >= unixnano.Of(expires) {
			return err
		}
		value, until := tombstoneValue(kind, expires)
		return x.store.commitRaw(ctx, key, value, until)
	})
}

// replaceOthers replaces the mark of a sign-out of others by next, if it is still was; "" is an
// absent one.
func (x *ends) replaceOthers(ctx context.Context, issuer, subject, was, next string) (bool, error) {
	key, value, expires := entryKey(kindOthers, issuer, subject), entryValue(kindOthers, next), time.Now().Add(entryRetention)
	var old []byte
	if was != "" {
		old = entryValue(kindOthers, was)
	}
	if x.store.swapper != nil {
		return x.store.write(ctx, key, old, value, expires)
	}
	unlock, err := x.locks.lock(ctx, key)
	if err != nil {
		return false, err
	}
	defer unlock()
	b, err := x.store.find(ctx, key)
	if err != nil {
		return false, err
	}
	if now, err := fixedPayload(b, kindOthers, markSize); err != nil || now != was {
		return false, err
	}
	return true, x.store.put(ctx, key, value, expires)
}

// manner is how a session ends.
type manner bool

const (
	signedOut manner = false
	renewed   manner = true // the browser has another session by now
)

// end ends a session. Its tombstone comes first: a write that is under way may bring the record
// back to a store that does not compare, and every read refuses it then. The record goes last, so
// that a user whose logout failed can try again. The followers are told when no read finds the
// session any more: a connection that one opens after they were told would go on. If the store
// compares, a read does not ask for the tombstone, and finds the session until the record is gone; in
// another process also after Config.Revocations of this one know.
func (m *Manager) end(ctx context.Context, handle string, rec *record, how manner) error {
	last := time.Unix(0, rec.end).UTC() // also by a Manager with a longer Absolute
	until, compares := last, m.store.swapper != nil
	if compares {
		until = time.Now().Add(10 * time.Minute) // tells that it was revoked, no more
	}
	if !compares || how == signedOut {
		if err := m.ends.tombstone(ctx, kindEnded, handle, until); err != nil {
			return err
		}
	}
	ended := middleware.Revocation{SessionHandle: handle, Expires: last}
	if !compares {
		if err := m.tell(ended); err != nil {
			return err
		}
		return m.store.delete(ctx, handle)
	}
	if m.revocations != nil {
		if err := m.tellRevocations(ended); err != nil {
			m.ends.tellFailed(ended)
			return err
		}
	}
	err := m.store.delete(ctx, handle)
	return errors.Join(err, m.ends.tell(ended))
}

// tell has the followers know of an end, and then Config.Revocations, if there are any.
func (m *Manager) tell(v middleware.Revocation) error {
	err := m.ends.tell(v)
	if m.revocations == nil {
		return err
	}
	return errors.Join(err, m.tellRevocations(v))
}

// tellRevocations has Config.Revocations, which are not nil, know of an end.
func (m *Manager) tellRevocations(v middleware.Revocation) error {
	ctx, cancel := m.committing()
	defer cancel()
	_, err := bounded.Call(ctx, m.asking, "session: revocations", func() (struct{}, error) {
		return struct{}{}, m.revocations.Revoke(ctx, v)
	})
	return err
}

// askAbout has followers ask about every session of the subject that began before.
func (m *Manager) askAbout(subject string, before time.Time) middleware.Revocation {
	return middleware.Revocation{Issuer: m.issuer, Subject: subject, Before: before, Expires: before.Add(maxAbsolute)}
}
