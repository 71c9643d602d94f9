package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/securews/securews/middleware"
)

// Logout ends the request's session: every load refuses it from then on, its connections end
// (ASVS 7.4.1), its record and the application's values are deleted, the cookie is removed, and
// the browser is told to clear the site's storage (Clear-Site-Data, ASVS 14.3.1), and more if
// Config.LogoutClearsCache or Config.LogoutClearsCookies is set. If the request has several
// cookies of the name, it ends each of those sessions. A request without a live session is
// answered the same way.
//
// The conditions of [Manager.Login] apply. On an error the cookie stays, so that the user
// can try again: 503 if the store or the revocations failed.
func (m *Manager) Logout(ctx context.Context) error {
	st, err := m.acquire(ctx, "logout")
	if err != nil {
		return err
	}
	defer st.release()
	handles, err := m.named(st)
	if err != nil {
		return err
	}
	bounded, cancel := m.committing()
	defer cancel()
	for _, handle := range handles {
		if err := m.endNamed(bounded, handle); err != nil {
			return unavailable(err)
		}
	}
	return st.become("", nil, "")
}

// maxCookies bounds the sessions that one Logout ends.
const maxCookies = 16

// named returns the handles of the request's cookies, and of the session that it has now.
func (m *Manager) named(st *state) (handles []string, err error) {
	cookies := 0
	m.cookie.each(st.header, func(value string) {
		if cookies++; cookies <= maxCookies {
			if handle, ok := parseToken(value); ok && handle != st.handle {
				handles = append(handles, handle)
			}
		}
	})
	if cookies > maxCookies {
		return nil, &middleware.Refusal{
			Status: http.StatusBadRequest, Reason: middleware.ReasonCredentialMalformed,
			Err: fmt.Errorf("session: logout: %d cookies of one name are more than %d", cookies, maxCookies),
		}
	}
	if st.handle != "" {
		handles = append(handles, st.handle)
	}
	return handles, nil
}

// endNamed ends a session that may have ended already. Its record may still be there, if an
// earlier attempt failed to delete it.
func (m *Manager) endNamed(ctx context.Context, handle string) error {
	b, err := m.store.find(ctx, handle)
	if err != nil {
		return err
	}
	rec, err := decode(b)
	switch {
	case b == nil: // it ran out, or another node has ended it; its connections may not know yet
		m.ends.followers.Tell(middleware.Revocation{SessionHandle: handle, Expires: time.Now().Add(m.absolute)})
		return nil
	case err != nil:
		return m.store.delete(ctx, handle)
	case rec.issuer != m.issuer:
		return nil
	}
	return m.end(ctx, handle, rec, signedOut)
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
// compares, a read does not ask for the tombstone, and finds the session until the record is gone.
func (m *Manager) end(ctx context.Context, handle string, rec *record, how manner) error {
	last := time.Unix(0, rec.end).UTC() // also by a Manager with a longer Absolute
	until, final := last, m.store.swapper != nil
	if final {
		until = time.Now().Add(10 * time.Minute) // tells that it was revoked, no more
	}
	if !final || how == signedOut {
		if err := m.ends.tombstone(ctx, kindEnded, handle, until); err != nil {
			return err
		}
	}
	ended := middleware.Revocation{SessionHandle: handle, Expires: last}
	if final && m.revocations == nil {
		err := m.store.delete(ctx, handle)
		m.ends.followers.Tell(ended)
		return err
	}
	if err := m.tell(ended); err != nil {
		return err
	}
	return m.store.delete(ctx, handle)
}

// LogoutEverywhere ends all sessions of the subject, and their connections (ASVS 7.4.3,
// 7.4.5), and those of tickets and of tokens with a sid that were issued in them. A token
// without one does not end; bearer.Config.Revocations says what reaches it. It needs no
// request. A login after it is good. It compares no times: no clock, and no renewal of a
// session at the same moment, has an effect on it.
func (m *Manager) LogoutEverywhere(ctx context.Context, subject string) error {
	if m.zero() {
		return errZero
	}
	defer m.outdated(ctx)
	if subject == "" {
		return errors.New("session: logout everywhere: the subject is empty")
	}
	ctx, cancel := m.committing()
	defer cancel()
	cut := time.Now().Round(0)
	if err := m.ends.everywhere(ctx, m.issuer, subject); err != nil {
		m.ends.followers.Tell(m.subjectEnds(subject, cut)) // the store may have taken the mark
		return unavailable(err)
	}
	if err := m.tell(m.subjectEnds(subject, cut)); err != nil {
		return unavailable(err)
	}
	return nil
}

// End ends one session of the subject by its handle, as [Manager.Sessions] lists it.
// A handle that is not one of the subject's live sessions is 401 `credential_expired`
// or `credential_revoked`.
func (m *Manager) End(ctx context.Context, subject, handle string) error {
	if m.zero() {
		return errZero
	}
	defer m.outdated(ctx)
	ctx, cancel := m.committing()
	defer cancel()
	if !isHandle(handle) {
		return refused(errGone)
	}
	now, err := m.read(ctx, handle)
	if errors.Is(err, errRevoked) { // perhaps by an attempt that has failed after its first step
		m.ends.followers.Tell(middleware.Revocation{SessionHandle: handle, Expires: time.Now().Add(m.absolute)})
	}
	switch {
	case err != nil:
		return refused(err)
	case subject == "" || now.rec.subject != subject:
		return refused(errGone)
	}
	if err := m.end(ctx, handle, now.rec, signedOut); err != nil {
		return unavailable(err)
	}
	return nil
}
