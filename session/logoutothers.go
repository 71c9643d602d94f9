package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/securews/securews/middleware"
)

// LogoutOthers ends all sessions of the request's subject except this one, which gets a new
// token: for a change of password or other factor (ASVS 7.4.3, 7.2.4). The renewed session
// keeps its values, its absolute end and the AuthTime of its login.
//
// The connections of this session end too: those of this process with 3000 `revoked`, those of
// another, at its next recheck, with 3000 `expired`. Clients do not come back by themselves after
// `revoked`, so the page that called opens its connections again when it has the answer, which has
// the new cookie. Tokens with the sid of this session end with it: mint others.
//
// The conditions of [Manager.Login] apply. Without a live session with a login it refuses with
// 401, and also if a sign-out of the subject came between: this session has then ended too.
// If it fails with 503, the other sessions may have ended. Two at once, on two nodes whose store
// is not a [Swapper], may both succeed, and one of the two sessions has ended.
func (m *Manager) LogoutOthers(ctx context.Context) error {
	st, err := m.acquire(ctx, "logout others")
	if err != nil {
		return err
	}
	defer st.release()
	if st.rec == nil || st.rec.subject == "" {
		return middleware.Unauthorized(middleware.ReasonNoCredential, errGone)
	}
	ctx, cancel := m.committing()
	defer cancel()
	old, err := m.read(ctx, st.handle)
	if err != nil {
		return refused(err)
	}
	rec, err := old.rec.renewed(st.values.pending())
	if err != nil {
		return err
	}
	token, handle := newToken()
	if err := m.insert(ctx, handle, rec); err != nil {
		return unavailable(err)
	}
	ends := m.askAbout(rec.subject, time.Unix(0, rec.start).UTC())
	if err := m.replaceOthers(ctx, rec, old.marks); err != nil {
		m.ends.tellFailed(ends) // the store may have taken the mark, also if a sign-out came between
		return refused(errors.Join(err, m.store.delete(ctx, handle)))
	}
	m.deleteQuietly(ctx, st.handle)
	told := m.ends.tell(middleware.Revocation{SessionHandle: st.handle, Expires: m.endOf(rec)})
	if err = st.become(handle, rec, token); err != nil {
		err = errors.Join(err, m.store.delete(ctx, handle))
	}
	if told = errors.Join(told, m.tell(ends)); told != nil {
		err = errors.Join(err, unavailable(told))
	}
	return err
}

// renewed returns the record of the session that replaces this one.
func (rec *record) renewed(changed map[string]change) (*record, error) {
	next := *rec
	next.values = merge(rec.values, changed)
	if err := fits(next.values); err != nil {
		return nil, fmt.Errorf("session: logout others: %w", err)
	}
	next.start = max(time.Now().UnixNano(), rec.login) // the clock of the node of the login may be ahead
	next.seen = next.start
	next.marks.others = newMark()
	return &next, nil
}

// replaceOthers ends every session under the old mark. It fails with errRevoked if a sign-out
// came between. A lost comparison is final: the mark has changed, so the old session is dead.
func (m *Manager) replaceOthers(ctx context.Context, rec *record, old marks) error {
	won, err := m.ends.replaceOthers(ctx, m.issuer, rec.subject, old.others, rec.marks.others)
	if err != nil {
		return err
	}
	if !won {
		return errRevoked
	}
	now, err := m.marks(ctx, rec.subject)
	if err == nil && now.everywhere != old.everywhere {
		err = errRevoked
	}
	return err
}

// deleteQuietly may fail: the record is dead by its marks.
func (m *Manager) deleteQuietly(ctx context.Context, handle string) {
	if err := m.store.delete(ctx, handle); err != nil {
		m.log().Warn("session: the record of a renewed session is not deleted", "error", err)
	}
}
