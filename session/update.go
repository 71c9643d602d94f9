package session

import (
	"context"
	"errors"

	"github.com/securews/securews/middleware"
)

// Update changes the values of the principal's session from outside a request, for
// instance from a connection. The record is read again first, and fn sees its current
// values; fn may be called more than once, and nothing is written if it fails. An Update
// counts as a request: an idle time-out that is due is extended.
//
// Its errors are those of [Manager.Alive] and of fn; a principal that is not of this
// Manager is an error.
func (m *Manager) Update(ctx context.Context, p middleware.Principal, fn func(*Values) error) error {
	if m.zero() || !m.ours(p) {
		return errors.New("session: update: the principal is not of this Manager's sessions")
	}
	ctx, cancel := m.bounded(ctx)
	defer cancel()
	var own error
	err := m.rewrite(ctx, p.SessionHandle, func(rec *record) error {
		if rec.subject != p.Subject {
			return errGone
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
