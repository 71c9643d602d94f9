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

// Identity is the user that signs in. It becomes part of the session's principals, beside
// the Manager's Issuer.
type Identity struct {
	_ [0]func()

	Subject    string            // not empty, at most 1024 bytes
	Scopes     []string          // of the session
	Roles      []string          // of the user
	Attributes map[string]string // a few: 24 KiB together with Scopes and Roles
}

const (
	maxSubject  = 1024
	maxIdentity = 24 << 10
)

func (id Identity) validate() error {
	size := 0
	for _, s := range slices.Concat(id.Scopes, id.Roles) {
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
		return fmt.Errorf("session: login: Scopes, Roles and Attributes: more than %d bytes", maxIdentity)
	}
	return nil
}

// Login signs the browser in, under a new token, so that a cookie planted by an attacker
// is worth nothing (session fixation, ASVS 7.2.4). The application's values are kept,
// unless the session was another subject's. The session of the request ends: its handle
// is revoked, so that its connections end, and its record is deleted. The new cookie
// travels in the response.
//
// Login must be called before the response begins ([ErrBegun]), not in a handshake
// ([ErrHandshake]), and behind Handler. On an error the user is not signed in;
// [middleware.Refuse] answers it with 503 if the store or the revocations failed, and
// with 500 if the call was wrong.
func (m *Manager) Login(ctx context.Context, id Identity) error {
	if err := id.validate(); err != nil {
		return err
	}
	id.Scopes, id.Roles, id.Attributes = slices.Clone(id.Scopes), slices.Clone(id.Roles), maps.Clone(id.Attributes)
	st, err := m.acquire(ctx, "login")
	if err != nil {
		return err
	}
	defer st.release()
	return m.renew(st, id, false)
}

// renew replaces the state's session by a new one of id. The new record comes first:
// if it cannot be written, nothing has changed. If the old session vouches for id, it must
// be alive before and after that, so that a sign-out everywhere in between reaches one of
// the two, and the new one keeps its login.
func (m *Manager) renew(st *state, id Identity, vouches bool) error {
	ctx, cancel := m.committing()
	defer cancel()
	values, err := m.valuesToKeep(ctx, st, id.Subject, vouches)
	if err != nil {
		return err
	}
	rec := m.newRecord(id, time.Now())
	if rec.values = values; vouches {
		rec.login = min(st.rec.login, rec.start)
	}
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
		err = m.end(ctx, st.handle, st.rec)
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
// changes on top. The values of one subject's session are not another subject's.
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

// end ends a session: first in the revocations, then in the store. If the first fails, the
// record stays: without it the user could not try again, and the connections would stay
// open.
func (m *Manager) end(ctx context.Context, handle string, rec *record) error {
	if rec == nil {
		return nil
	}
	err := m.revoke(ctx, middleware.Revocation{SessionHandle: handle, Expires: time.Unix(0, rec.end).UTC()})
	if err != nil {
		return err
	}
	return m.store.delete(ctx, handle)
}
