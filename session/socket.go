package session

import (
	"context"
	"errors"

	"github.com/securews/securews/middleware"
)

// Touch says whether the principal's session is alive, and extends its idle time-out.
// It fits ws.Config.Revalidate: an open socket then keeps its session alive, up to
// the absolute end. Where only the user's own requests shall count, use
// [Manager.Alive].
//
// A session that ran out is a Refusal of 401 `credential_expired`, one that was ended
// 401 `credential_revoked`; while the store or the revocations cannot be asked it is
// 503, and nobody knows. A principal that does not come from a session of this
// Manager is not its business: nil.
func (m *Manager) Touch(ctx context.Context, p middleware.Principal) error {
	if !m.ours(p) {
		return nil
	}
	ctx, cancel := m.bounded(ctx)
	defer cancel()
	return refused(m.rewrite(ctx, p.SessionHandle, func(rec *record) error { return belongs(rec, p.Subject) }))
}

// Alive is Touch without the extension: it writes nothing. With it as
// ws.Config.Revalidate a socket ends when its session does, however busy it is.
func (m *Manager) Alive(ctx context.Context, p middleware.Principal) error {
	if !m.ours(p) {
		return nil
	}
	ctx, cancel := m.bounded(ctx)
	defer cancel()
	return refused(m.checkAlive(ctx, p.SessionHandle, p.Subject))
}

func (m *Manager) checkAlive(ctx context.Context, handle, subject string) error {
	rec, _, err := m.read(ctx, handle)
	if err == nil {
		err = belongs(rec, subject)
	}
	return err
}

// Update changes the values of the principal's session from outside a request, for
// instance from a socket. The record is read again first, and fn sees its values as
// they are now; fn may be called more than once, and nothing is written if it fails.
// An Update counts as a request does: an idle time-out that is due is extended.
//
// Its errors are those of Touch and of fn; a principal that is not of this Manager is
// an error.
func (m *Manager) Update(ctx context.Context, p middleware.Principal, fn func(*Values) error) error {
	if !m.ours(p) {
		return errors.New("session: update: the principal is not of this Manager's sessions")
	}
	ctx, cancel := m.bounded(ctx)
	defer cancel()
	var own error
	err := m.rewrite(ctx, p.SessionHandle, func(rec *record) error {
		if err := belongs(rec, p.Subject); err != nil {
			return err
		}
		v := &Values{stored: rec.values}
		if own = fn(v); own != nil {
			return own
		}
		v.freeze(errUpdated)
		rec.values = merge(rec.values, v.pending())
		return nil
	})
	if own != nil {
		return own
	}
	return refused(err)
}

var errUpdated = errors.New("the update is over")

func (m *Manager) ours(p middleware.Principal) bool {
	return p.SessionHandle != "" && p.Issuer == m.issuer
}

// belongs refuses a record that is not the principal's.
func belongs(rec *record, subject string) error {
	if rec.subject != subject {
		return errGone
	}
	return nil
}
