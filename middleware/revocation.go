package middleware

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/followers"
)

// Revocation revokes credentials: one session, one token, or all that a
// subject was issued before a moment. All that it names are revoked.
type Revocation struct {
	// Issuer and Subject name an identity, all of whose credentials issued before
	// Before end. An empty Issuer means that subject under every issuer.
	Issuer, Subject string

	// SessionHandle and TokenHandle are the handles of a [Principal].
	SessionHandle, TokenHandle string

	// Before is the cut-off for Subject; zero: now.
	Before time.Time

	// Expires is when the last of the revoked credentials would have expired,
	// so that the revocation may be forgotten; zero: [RevocationRetention]
	// from now.
	Expires time.Time

	// Resync says that earlier revocations may have been missed: a follower asks about every
	// credential again. Followers get it; it is not for Revoke.
	Resync bool
}

// Complete returns v with Before and Expires filled in, if they are zero. An implementation of
// [Revocations] calls it once, before it stores v and tells its followers.
func (v Revocation) Complete(now time.Time) Revocation {
	if v.Before.IsZero() {
		v.Before = now
	}
	if v.Expires.IsZero() {
		v.Expires = now.Add(RevocationRetention)
	}
	return v
}

// RevocationRetention is how long a [Revocation] without Expires is remembered.
const RevocationRetention = 30 * 24 * time.Hour

// Covers reports whether the revocation reaches the principal.
func (v Revocation) Covers(p Principal) bool {
	if v.Before.IsZero() {
		v.Before = time.Now()
	}
	return v.SessionHandle != "" && v.SessionHandle == p.SessionHandle ||
		v.TokenHandle != "" && v.TokenHandle == p.TokenHandle ||
		v.Subject != "" && v.Subject == p.Subject && (v.Issuer == "" || v.Issuer == p.Issuer) && p.IssuedAt.Before(v.Before)
}

// Revocations is a node's list of revoked credentials. Implementations are
// safe for concurrent use; package storetest tests them.
type Revocations interface {
	// Revoke is durable when it returns nil: every later Revoked returns true, and
	// every follower has been or will be called.
	Revoke(ctx context.Context, v Revocation) error

	// Revoked is authoritative. An error means that the answer is not known: the
	// request is refused.
	Revoked(ctx context.Context, p Principal) (bool, error)

	// Follow calls fn with every later revocation, none lost, until stop is called; if some may be
	// lost after all, with one that has Resync set. Calls may be concurrent. fn may ask Revoked and
	// wait up to a second for the answer, so no lock that Revoked needs is held while fn runs.
	Follow(fn func(Revocation)) (stop func())
}

// NewRevocations returns the revocations of one process, kept in memory until they
// expire. Followers are called before Revoke returns.
func NewRevocations() Revocations {
	return &memoryRevocations{entries: map[revocationKey]revocationEntry{}}
}

type revocationKey struct {
	kind          byte // 's' session, 't' token, 'u' subject
	issuer, value string
}

// revocationEntry is about the credentials issued before, or about one of any time if the key is
// a handle.
type revocationEntry struct{ before, expires time.Time }

type memoryRevocations struct {
	bounded.Self

	mu        sync.RWMutex
	entries   map[revocationKey]revocationEntry
	sweepAt   int // size at which expired entries are removed next
	followers followers.List[Revocation]
}

var errEmptyRevocation = errors.New("middleware: Revocation: Subject, SessionHandle and TokenHandle are empty: set one")

func (m *memoryRevocations) Revoke(_ context.Context, v Revocation) error {
	if v.Subject == "" && v.SessionHandle == "" && v.TokenHandle == "" {
		return errEmptyRevocation
	}
	now := time.Now()
	v = v.Complete(now)
	m.mu.Lock()
	m.sweep(now)
	if v.SessionHandle != "" {
		m.put(revocationKey{'s', "", v.SessionHandle}, v)
	}
	if v.TokenHandle != "" {
		m.put(revocationKey{'t', "", v.TokenHandle}, v)
	}
	if v.Subject != "" {
		m.put(revocationKey{'u', v.Issuer, v.Subject}, v)
	}
	m.mu.Unlock()
	m.followers.Tell(v)
	return nil
}

// put never shortens an earlier entry.
func (m *memoryRevocations) put(k revocationKey, v Revocation) {
	old := m.entries[k]
	if old.before.After(v.Before) {
		v.Before = old.before
	}
	if old.expires.After(v.Expires) {
		v.Expires = old.expires
	}
	m.entries[k] = revocationEntry{v.Before, v.Expires}
}

// sweep drops the expired entries each time the map has doubled.
func (m *memoryRevocations) sweep(now time.Time) {
	if len(m.entries) < max(m.sweepAt, 1024) {
		return
	}
	for k, x := range m.entries {
		if !x.expires.After(now) {
			delete(m.entries, k)
		}
	}
	m.sweepAt = 2 * len(m.entries)
}

func (m *memoryRevocations) Revoked(_ context.Context, p Principal) (bool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if len(m.entries) == 0 {
		return false, nil
	}
	if p.SessionHandle != "" {
		if _, ok := m.entries[revocationKey{'s', "", p.SessionHandle}]; ok {
			return true, nil
		}
	}
	if p.TokenHandle != "" {
		if _, ok := m.entries[revocationKey{'t', "", p.TokenHandle}]; ok {
			return true, nil
		}
	}
	if p.Subject == "" {
		return false, nil
	}
	for _, issuer := range [...]string{p.Issuer, ""} {
		if x, ok := m.entries[revocationKey{'u', issuer, p.Subject}]; ok && p.IssuedAt.Before(x.before) {
			return true, nil
		}
	}
	return false, nil
}

func (m *memoryRevocations) Follow(fn func(Revocation)) (stop func()) { return m.followers.Follow(fn) }
