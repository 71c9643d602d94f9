package session

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/securews/securews/internal/followers"
	"github.com/securews/securews/middleware"
)

// NewRevocations returns revocations that are kept in a store of scs, for services that have
// tokens and no sessions: they last over restarts, and hold on every node that has the same
// store, at its next request. Followers are told of those of this process. A [Manager] on the
// store needs none: its own ends are in the store, and [Manager.Revocations] has these methods.
//
// Of two revocations of a subject at once, on two nodes whose store is not a [Swapper], the one
// with the earlier Before may win.
//
// Revoke of a subject with an Issuer also ends the sessions that Managers of that issuer keep
// in the store. Each method waits for the store for at most a second. The error is of a nil
// store.
func NewRevocations(raw scs.Store) (middleware.Revocations, error) {
	if raw == nil || isNilPointer(raw) {
		return nil, errors.New("session: NewRevocations: the store is nil: use middleware.NewRevocations for revocations in memory")
	}
	return newEnds(newStore(raw), "", time.Second), nil
}

// ends are the ends of sessions and tokens, in a store.
type ends struct {
	marked

	store     store
	issuer    string // of the Manager; empty without one
	timeout   time.Duration
	locks     locks
	followers followers.List[middleware.Revocation]
}

func newEnds(s store, issuer string, timeout time.Duration) *ends {
	return &ends{store: s, issuer: issuer, timeout: timeout, locks: newLocks()}
}

// Follow implements middleware.Revocations.
func (x *ends) Follow(fn func(middleware.Revocation)) (stop func()) { return x.followers.Follow(fn) }

// everywhere replaces the mark of a sign-out everywhere. It reads and compares nothing, so
// that no other operation can delay or undo it.
func (x *ends) everywhere(ctx context.Context, issuer, subject string) error {
	return x.store.put(ctx, entryKey(kindEverywhere, issuer, subject), entryValue(kindEverywhere, newMark()), time.Now().Add(entryRetention))
}

// tombstone writes that a session or a token has ended. It is kept until expires, and at
// least a minute.
func (x *ends) tombstone(ctx context.Context, kind byte, handle string, expires time.Time) error {
	value, until := tombstoneValue(kind, expires)
	return x.store.put(ctx, entryKey(kind, "", handle), value, until)
}

func tombstoneValue(kind byte, expires time.Time) (b []byte, until time.Time) {
	end := max(nanoseconds(expires), nanoseconds(time.Now().Add(time.Minute)))
	return entryValue(kind, string(binary.BigEndian.AppendUint64(nil, uint64(end)))), time.Unix(0, end)
}

// lengthen is tombstone, except that it does not shorten one that is there.
func (x *ends) lengthen(ctx context.Context, kind byte, handle string, expires time.Time) error {
	key := entryKey(kind, "", handle)
	return x.inTurn(ctx, key, func() error {
		b, err := x.store.findRaw(ctx, key)
		if err != nil {
			return err
		}
		now, err := payloadOf(b, kind, tombstoneSize)
		if err != nil || now != "" && int64(binary.BigEndian.Uint64([]byte(now))) >= nanoseconds(expires) {
			return err
		}
		value, until := tombstoneValue(kind, expires)
		return x.store.commitRaw(ctx, key, value, until)
	})
}

// others replaces the mark of a sign-out of others by next, if it is still was; "" is an
// absent one.
func (x *ends) others(ctx context.Context, issuer, subject, was, next string) (bool, error) {
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
	if now, err := payloadOf(b, kindOthers, markSize); err != nil || now != was {
		return false, err
	}
	return true, x.store.put(ctx, key, value, expires)
}

var errEmptyRevocation = errors.New("session: Revocation: Subject, SessionHandle and TokenHandle are empty: set one")

// Revoke implements middleware.Revocations. It does not end with ctx: a client that
// disconnects must not leave a sign-out half done.
func (x *ends) Revoke(_ context.Context, v middleware.Revocation) error {
	if v.Subject == "" && v.SessionHandle == "" && v.TokenHandle == "" {
		return errEmptyRevocation
	}
	ctx, cancel := context.WithTimeout(context.Background(), x.timeout)
	defer cancel()
	v = v.Complete(time.Now())
	if err := errors.Join(x.revokeSubject(ctx, v), x.revokeSession(ctx, v), x.revokeToken(ctx, v)); err != nil {
		return err
	}
	x.followers.Tell(v)
	return nil
}

func (x *ends) revokeSession(ctx context.Context, v middleware.Revocation) error {
	if v.SessionHandle == "" {
		return nil
	}
	if err := x.lengthen(ctx, kindEnded, v.SessionHandle, v.Expires); err != nil || !isHandle(v.SessionHandle) {
		return err
	}
	b, err := x.store.find(ctx, v.SessionHandle)
	if err != nil || !isRecord(b) { // a key of something else that is kept, such as a mark
		return err
	}
	return x.store.delete(ctx, v.SessionHandle) // final if the store is a Swapper
}

func (x *ends) revokeToken(ctx context.Context, v middleware.Revocation) error {
	if v.TokenHandle == "" {
		return nil
	}
	return x.lengthen(ctx, kindToken, v.TokenHandle, v.Expires)
}

func (x *ends) revokeSubject(ctx context.Context, v middleware.Revocation) error {
	if v.Subject == "" {
		return nil
	}
	var err error
	if issuer := cmp.Or(v.Issuer, x.issuer); issuer != "" {
		err = x.everywhere(ctx, issuer, v.Subject) // first: it waits for nothing else
	}
	return errors.Join(err, x.cutOff(ctx, v))
}
