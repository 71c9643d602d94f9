package session

import (
	"context"
	"errors"
	"time"

	"github.com/securews/securews/middleware"
)

// Logout ends the request's session: its handle is revoked, which ends its connections
// (ASVS 7.4.1), its record and the application's values are deleted, the cookie is
// removed, and the browser is told to clear the site's data (Clear-Site-Data, ASVS
// 14.3.1; its "cookies" reach the whole registrable domain). A request without a live
// session is answered the same way.
//
// The conditions of [Manager.Login] apply. On an error the cookie stays, so that the user
// can try again: 503 if the store or the revocations failed.
func (m *Manager) Logout(ctx context.Context) error {
	st, err := m.acquire(ctx, "logout")
	if err != nil {
		return err
	}
	defer st.release()
	bounded, cancel := m.committing()
	defer cancel()
	if err := m.end(bounded, st.handle, st.rec); err != nil {
		return unavailable(err)
	}
	return st.become("", nil, "")
}

// LogoutEverywhere ends all sessions of the subject that began before now, and their
// connections (ASVS 7.4.3, 7.4.5), and those of tickets and of tokens with a sid that were
// issued in them. A token without one does not end; bearer.Config.Revocations says what
// reaches it. It needs neither a request nor the store: the records
// are refused, and expire by themselves. A login right after it is good. The cut-off is
// this node's clock, to the nanosecond, so the clocks of the nodes must agree.
func (m *Manager) LogoutEverywhere(ctx context.Context, subject string) error {
	defer m.outdated(ctx)
	if subject == "" {
		return errors.New("session: logout everywhere: the subject is empty")
	}
	ctx, cancel := m.committing()
	defer cancel()
	return m.revokeBefore(ctx, subject, time.Now().Round(0))
}

func (m *Manager) revokeBefore(ctx context.Context, subject string, cut time.Time) error {
	err := m.revoke(ctx, middleware.Revocation{
		Issuer: m.issuer, Subject: subject, Before: cut, Expires: cut.Add(maxAbsolute),
	})
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// LogoutOthers ends all sessions of the request's subject except this one, which is
// renewed as by [Manager.Login]: for a change of password or other factor (ASVS
// 7.4.3, 7.2.4). The principals of the renewed session keep the AuthTime of its login.
// The connections of this session end too, and reconnect with the new cookie. The
// conditions of Login apply; without a live session with a login it refuses with 401. If
// it fails with 503 after the renewal, this session and the others continue.
func (m *Manager) LogoutOthers(ctx context.Context) error {
	st, err := m.acquire(ctx, "logout others")
	if err != nil {
		return err
	}
	defer st.release()
	if st.rec == nil || st.rec.subject == "" {
		return middleware.Unauthorized(middleware.ReasonNoCredential, errGone)
	}
	id := Identity{Subject: st.rec.subject, Scopes: st.rec.scopes, Roles: st.rec.roles, Attributes: st.rec.attributes}
	if err := m.renew(st, id, true); err != nil {
		return err
	}
	bounded, cancel := m.committing()
	defer cancel()
	return m.revokeBefore(bounded, id.Subject, time.Unix(0, st.rec.start).UTC())
}

// End ends one session of the subject by its handle, as [Manager.Sessions] lists it.
// A handle that is not one of the subject's live sessions is 401 `credential_expired`
// or `credential_revoked`.
func (m *Manager) End(ctx context.Context, subject, handle string) error {
	defer m.outdated(ctx)
	ctx, cancel := m.committing()
	defer cancel()
	if !isHandle(handle) {
		return refused(errGone)
	}
	rec, _, err := m.read(ctx, handle)
	switch {
	case err != nil:
		return refused(err)
	case subject == "" || rec.subject != subject:
		return refused(errGone)
	}
	if err := m.end(ctx, handle, rec); err != nil {
		return unavailable(err)
	}
	return nil
}
