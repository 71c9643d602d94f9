package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/securews/securews/middleware"
)

// Identity is who signed in: what the principals of the session will say beside the
// Manager's Issuer.
type Identity struct {
	_ [0]func()

	Subject    string // not empty, at most 1024 bytes
	Scopes     []string
	Attributes map[string]string // a few: 24 KiB together with Scopes
}

const (
	maxSubject  = 1024
	maxIdentity = 24 << 10
)

func (id Identity) validate() error {
	size := 0
	for _, s := range id.Scopes {
		size += len(s) + 3
	}
	for name, value := range id.Attributes {
		size += len(name) + len(value) + 6
	}
	switch {
	case id.Subject == "":
		return errors.New("session: login: Subject is empty")
	case len(id.Subject) > maxSubject:
		return fmt.Errorf("session: login: Subject: more than %d bytes", maxSubject)
	case size > maxIdentity:
		return fmt.Errorf("session: login: Scopes and Attributes: more than %d bytes", maxIdentity)
	}
	return nil
}

// Login signs the browser in, under a new token: what a stranger may have planted in
// it is worth nothing (session fixation, ASVS 7.2.4). The application's values come
// along, unless the session was another subject's. The session the request came with
// ends: its handle is revoked, so that its sockets end, and its record is deleted. The
// new cookie travels in the response.
//
// Login must be called before the response begins ([ErrBegun]), not in a handshake
// ([ErrHandshake]), and behind Handler. On an error nobody is signed in; it answers
// 503 by [middleware.Refuse] where the store or the revocations failed, and 500 where
// the call was wrong.
func (m *Manager) Login(ctx context.Context, id Identity) error {
	if err := id.validate(); err != nil {
		return err
	}
	id.Scopes, id.Attributes = slices.Clone(id.Scopes), maps.Clone(id.Attributes)
	st, err := m.acquire(ctx, "login")
	if err != nil {
		return err
	}
	defer st.release()
	return m.renew(st, id, false)
}

// renew replaces the state's session by a new one of id. The new record comes first:
// if it cannot be written, nothing has changed. Where the old session is what vouches
// for id, it must be alive before and after that: a sign-out everywhere in between
// reaches one of the two.
func (m *Manager) renew(st *state, id Identity, vouches bool) error {
	ctx, cancel := m.committing()
	defer cancel()
	values, err := m.valuesToKeep(ctx, st, id.Subject, vouches)
	if err != nil {
		return err
	}
	rec := m.newRecord(id, time.Now())
	rec.values = values
	if _, err := rec.encode(); err != nil {
		return err
	}
	token, handle := newToken()
	if err := m.insert(ctx, handle, rec); err != nil {
		return unavailable(err)
	}
	if vouches {
		err = m.checkRevoked(ctx, st.handle, st.rec)
	}
	if err == nil {
		err = m.retire(ctx, st.handle, st.rec)
	}
	if err != nil {
		return refused(errors.Join(err, m.store.delete(ctx, handle)))
	}
	if err := st.become(handle, rec, token); err != nil {
		return errors.Join(err, m.store.delete(ctx, handle))
	}
	return nil
}

// valuesToKeep returns the old session's values as they are now, with this request's
// changes on top. What one subject's session holds says nothing about another subject.
func (m *Manager) valuesToKeep(ctx context.Context, st *state, subject string, vouches bool) (values []entry, err error) {
	if st.rec != nil {
		rec, _, err := m.read(ctx, st.handle)
		ended := errors.Is(err, errGone) || errors.Is(err, errRevoked)
		switch {
		case err != nil && (vouches || !ended):
			return nil, refused(err)
		case err == nil && (rec.subject == "" || rec.subject == subject):
			values = rec.values
		}
	}
	values = merge(values, st.values.pending())
	if err := fits(values); err != nil {
		return nil, fmt.Errorf("session: login: %w", err)
	}
	return values, nil
}

// retire ends a session: first for everybody who asks, then in the store. Where the
// first fails the record stays: without it nobody could try again, and the sockets
// would go on.
func (m *Manager) retire(ctx context.Context, handle string, rec *record) error {
	if rec == nil {
		return nil
	}
	err := m.revoke(ctx, middleware.Revocation{SessionHandle: handle, Expires: time.Unix(0, rec.end).UTC()})
	if err != nil {
		return err
	}
	return m.store.delete(ctx, handle)
}

// acquire returns the request's state for one Login or Logout at a time.
func (m *Manager) acquire(ctx context.Context, what string) (*state, error) {
	st := m.stateFrom(ctx)
	if st == nil {
		return nil, fmt.Errorf("session: %s: %w", what, errNoSession)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.frozen != nil:
		return nil, fmt.Errorf("session: %s: %w", what, st.frozen)
	case st.busy:
		return nil, fmt.Errorf("session: %s: %w", what, errBusy)
	}
	st.busy = true
	st.values.freeze(errBusy) // what is put meanwhile would be lost
	return st, nil
}

func (st *state) release() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.busy = false
	st.values.freeze(st.frozen)
}

// become makes the state that of another session, or of none. It fails where the
// response has begun meanwhile, as http.TimeoutHandler's does: the cookie is too late.
func (st *state) become(handle string, rec *record, token string) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.frozen != nil {
		return st.frozen
	}
	st.handle, st.rec, st.token = handle, rec, token
	st.refusal = middleware.ErrNoCredential
	if rec == nil {
		rec, st.left = &record{}, true
	}
	st.values.reset(rec.values)
	return nil
}
