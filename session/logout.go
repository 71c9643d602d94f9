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
	ctx, cancel := m.committing()
	defer cancel()
	for _, handle := range handles {
		if err := m.endNamed(ctx, handle); err != nil {
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
	m.cookie.each(st.header, func(_, value string) {
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
		return m.tellAgain(ctx, middleware.Revocation{SessionHandle: handle, Expires: time.Now().Add(m.absolute)})
	case err != nil:
		return m.store.delete(ctx, handle)
	case rec.issuer != m.issuer:
		return nil
	}
	return m.end(ctx, handle, rec, signedOut)
}

// tellAgain tells of a session that has no record. Other processes are told only if there is a
// tombstone, since an earlier attempt may have failed to: the handle may be an invention.
func (m *Manager) tellAgain(ctx context.Context, v middleware.Revocation) error {
	if m.store.announcer == nil {
		return m.ends.tell(v)
	}
	switch b, err := m.store.find(ctx, entryKey(kindEnded, "", v.SessionHandle)); {
	case err != nil:
		return err
	case b == nil:
		m.ends.followers.Tell(v)
		return nil
	}
	return m.ends.tell(v)
}

// LogoutEverywhere ends all sessions of the subject, and their connections (ASVS 7.4.3,
// 7.4.5), and those of tickets and of tokens with a sid that were issued in them. A token
// without one does not end; [Manager.Revocations] says what reaches it. It needs no
// request. It compares no times: no clock, and no renewal of a session at the same moment, has
// an effect on it.
//
// A login after it is good. To keep a user out, bar the account in the application's own records
// first, and ask them before each Login. A Login that begins after the call, although its question
// came before, is good too: an authenticator that asks about the account on every request, as the
// example of [middleware.Revocable] does, refuses that session as well.
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
	everything := m.askAbout(subject, time.Now().Round(0))
	if err := m.ends.replaceEverywhere(ctx, m.issuer, subject); err != nil {
		m.ends.tellFailed(everything) // the store may have taken the mark
		return unavailable(err)
	}
	if err := m.tell(everything); err != nil {
		return unavailable(err)
	}
	return nil
}
