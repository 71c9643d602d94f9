package session

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/entry"
	"github.com/securews/securews/internal/nilvalue"
	"github.com/securews/securews/internal/unixnano"
	"github.com/securews/securews/middleware"
)

// NewRevocations returns revocations that are kept in a store of scs, for services that have
// tokens and no sessions: they last over restarts, and hold on every node that has the same
// store, at its next request. Followers are told of those of this process, and of all others if
// the store is an [Announcer]. A [Manager] on the store needs none: its own ends are in the store,
// and [Manager.Revocations] has these methods.
//
// Of two revocations of a subject at once, on two nodes whose store is not a [Swapper], the one
// with the earlier Before may win.
//
// Revoke of a subject with an Issuer also ends the sessions that Managers of that issuer keep
// in the store. Each method waits for the store for at most a second. The error is of a nil
// store.
func NewRevocations(store scs.Store) (middleware.Revocations, error) {
	if store == nil || nilvalue.In(store) {
		return nil, errors.New("session: NewRevocations: the store is nil: use middleware.NewRevocations for revocations in memory")
	}
	return newEnds(newStore(store), "", time.Second), nil
}

var errEmptyRevocation = errors.New("session: Revocation: Subject, SessionHandle and TokenHandle are empty: set one")

// Revoke implements middleware.Revocations. If the store fails, the error is a 503. It does not end with ctx: a client that
// disconnects must not leave a sign-out half done.
func (x *ends) Revoke(_ context.Context, v middleware.Revocation) error {
	v = v.Complete(time.Now())
	if err := x.keep(v); err != nil {
		return err
	}
	if err := x.tell(v); err != nil {
		return unavailable(err)
	}
	return nil
}

// keep stores a revocation, and tells no follower.
func (x *ends) keep(v middleware.Revocation) error {
	if v.Subject == "" && v.SessionHandle == "" && v.TokenHandle == "" {
		return errEmptyRevocation
	}
	ctx, cancel := context.WithTimeout(context.Background(), x.timeout)
	defer cancel()
	if err := errors.Join(x.revokeSubject(ctx, v), x.revokeSession(ctx, v), x.revokeToken(ctx, v)); err != nil {
		return unavailable(err)
	}
	return nil
}

func (x *ends) revokeSession(ctx context.Context, v middleware.Revocation) error {
	if v.SessionHandle == "" {
		return nil
	}
	if err := x.prolongTombstone(ctx, kindEnded, v.SessionHandle, v.Expires); err != nil || !isHandle(v.SessionHandle) {
		return err
	}
	b, err := x.store.find(ctx, v.SessionHandle)
	if err != nil || !entry.IsRecord(b) { // a key of something else that is kept, such as a mark
		return err
	}
	return x.store.delete(ctx, v.SessionHandle) // final if the store is a Swapper
}

func (x *ends) revokeToken(ctx context.Context, v middleware.Revocation) error {
	if v.TokenHandle == "" {
		return nil
	}
	return x.prolongTombstone(ctx, kindToken, v.TokenHandle, v.Expires)
}

func (x *ends) revokeSubject(ctx context.Context, v middleware.Revocation) error {
	if v.Subject == "" {
		return nil
	}
	var err error
	if issuer := cmp.Or(v.Issuer, x.issuer); issuer != "" {
		err = x.replaceEverywhere(ctx, issuer, v.Subject) // first: it waits for nothing else
	}
	return errors.Join(err, x.raiseCutoff(ctx, v))
}

// Revoked implements middleware.Revocations. It is about tokens, and about sessions by their
// handle; whether a session has ended otherwise is for [Manager.Alive].
func (x *ends) Revoked(ctx context.Context, p middleware.Principal) (bool, error) {
	if x.store.calls.Direct() {
		return x.revokedRaw(ctx, &p)
	}
	ctx, cancel := context.WithTimeout(ctx, x.timeout)
	defer cancel()
	return bounded.Call(ctx, x.store.calls, "session: store: find", func() (bool, error) { return x.revokedRaw(ctx, &p) })
}

func (x *ends) revokedRaw(ctx context.Context, p *middleware.Principal) (bool, error) {
	var stack [4]string
	var values [len(stack)][]byte
	keys := stack[:0]
	if p.Subject != "" {
		keys = append(keys, entryKey(kindCutoff, p.Issuer, p.Subject), entryKey(kindCutoff, "", p.Subject))
	}
	cutoffs := len(keys)
	if p.SessionHandle != "" {
		keys = append(keys, entryKey(kindEnded, "", p.SessionHandle))
	}
	if p.TokenHandle != "" {
		keys = append(keys, entryKey(kindToken, "", p.TokenHandle))
	}
	if err := x.store.findEachRaw(ctx, keys, values[:]); err != nil {
		return false, err
	}
	issued := unixnano.Of(p.IssuedAt)
	for _, b := range values[:cutoffs] {
		if c, err := parseCutoff(b); err != nil || c.before != 0 && issued < c.before {
			return err == nil, err
		}
	}
	for i, b := range values[cutoffs:len(keys)] {
		kind := byte(kindToken)
		if i == 0 && p.SessionHandle != "" {
			kind = kindEnded
		}
		if ended, err := fixedPayload(b, kind, tombstoneSize); err != nil || ended != "" {
			return err == nil, err
		}
	}
	return false, nil
}

// Revocations returns those that the Manager keeps in its store, see [NewRevocations], together with
// Config.Revocations, if there are any. Others of the program may use them, for instance
// bearer.Config.Revocations and [middleware.WithRevocations]. Revoke of a subject without an
// Issuer, or with this Manager's, is a [Manager.LogoutEverywhere], so that a Before in the future
// keeps no later login out, as it does with tokens; of a SessionHandle it ends that session.
// Revoked of a principal of this Manager's Issuer with a SessionHandle says whether that session
// has ended, in any way.
//
// Revoke also reaches the tokens of others that use it, those without a sid too:
//
//	err := sessions.Revocations().Revoke(ctx, middleware.Revocation{Subject: "alice"})
//
// LogoutEverywhere reaches a token without a sid only if Config.Revocations is set, is also that of
// the token's authenticator, and the two Issuers are equal.
func (m *Manager) Revocations() middleware.Revocations {
	if m.zero() {
		return nil
	}
	return &managed{ends: m.ends, m: m}
}

// managed are the ends of a Manager, which knows whether a session is alive.
type managed struct {
	boundsItself
	*ends
	m *Manager
}

// Revoke implements middleware.Revocations.
func (x *managed) Revoke(ctx context.Context, v middleware.Revocation) error {
	defer x.m.outdated(ctx)
	if x.m.revocations != nil {
		return x.revokeBoth(v)
	}
	if err := x.ends.Revoke(ctx, v); err != nil {
		return err
	}
	ctx, cancel := x.m.committing()
	defer cancel()
	return x.m.tellAccounts(ctx, v, x.tell)
}

// revokeBoth stores v first, because Config.Revocations may forget it before the store forgets the
// sessions, and tell the followers.
func (x *managed) revokeBoth(v middleware.Revocation) error {
	v = v.Complete(time.Now())
	if err := x.keep(v); err != nil {
		return err
	}
	if err := errors.Join(x.m.tellRevocations(v), x.announceBoth(v)); err != nil {
		return unavailable(err)
	}
	return nil
}

// announceBoth has other processes know of v, whose Config.Revocations may be their own.
func (x *managed) announceBoth(v middleware.Revocation) error {
	if x.store.announcer == nil {
		return nil
	}
	ctx, cancel := x.m.committing()
	defer cancel()
	return errors.Join(x.announce(v), x.m.tellAccounts(ctx, v, x.announce))
}

// Follow implements middleware.Revocations.
func (x *managed) Follow(fn func(middleware.Revocation)) (stop func()) { return x.m.Follow(fn) }

// Revoked implements middleware.Revocations.
func (x *managed) Revoked(ctx context.Context, p middleware.Principal) (bool, error) {
	var unknown error // of one that does not answer, which hides no end that another knows
	if p.SessionHandle != "" && p.Issuer == x.m.issuer {
		ctx, cancel := x.m.bounded(ctx)
		defer cancel()
		found, err := x.m.read(ctx, p.SessionHandle)
		switch {
		case errors.Is(err, errGone), errors.Is(err, errRevoked):
			return true, nil
		case err == nil:
			middleware.RecheckBy(ctx, x.m.expiry(found.rec)) // which Revoked does not extend
		}
		unknown = err
	}
	revoked, err := x.ends.Revoked(ctx, p)
	if revoked {
		return true, nil
	}
	unknown = cmp.Or(unknown, err)
	if x.m.revocations != nil {
		ctx, cancel := x.m.bounded(ctx)
		defer cancel()
		err = x.m.askRevocations(ctx, p)
		if errors.Is(err, errRevoked) {
			return true, nil
		}
		unknown = cmp.Or(unknown, err)
	}
	return false, unknown
}
