package session

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/securews/securews/middleware"
)

// Info is one live session in the list a user is shown (ASVS 7.5.2).
type Info struct {
	Handle     string            // for [Manager.End]; the SessionHandle of its principals; useless as a cookie
	Attributes map[string]string // of the Identity, for instance the device that signed in
	LoggedIn   time.Time
	LastSeen   time.Time // as exact as the idle time-out is: see the package
	Expires    time.Time // absolute
}

// Sessions lists the subject's live sessions, the newest login first. It reads every
// record in the store: put it behind a rate limit. If the store cannot list, the error
// wraps [errors.ErrUnsupported]; 503 if the store or the revocations failed.
func (m *Manager) Sessions(ctx context.Context, subject string) ([]Info, error) {
	if m.zero() {
		return nil, errZero
	}
	if subject == "" {
		return nil, errors.New("session: sessions: the subject is empty")
	}
	ctx, cancel := m.bounded(ctx)
	defer cancel()
	all, err := m.store.all(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, err
	} else if err != nil {
		return nil, unavailable(err)
	}
	list := []Info{}
	for handle, b := range all {
		if rec, err := decode(b); err != nil || rec.issuer != m.issuer || rec.subject != subject {
			continue
		}
		now, err := m.read(ctx, handle)
		switch {
		case errors.Is(err, errRevoked), errors.Is(err, errGone):
			continue
		case err != nil:
			return nil, unavailable(err)
		}
		list = append(list, m.info(handle, now.rec))
	}
	slices.SortFunc(list, func(a, b Info) int {
		return cmp.Or(b.LoggedIn.Compare(a.LoggedIn), cmp.Compare(a.Handle, b.Handle))
	})
	return list, nil
}

func (m *Manager) info(handle string, rec *record) Info {
	return Info{
		Handle: handle, Attributes: maps.Clone(rec.attributes),
		LoggedIn: time.Unix(0, rec.login).UTC(), LastSeen: time.Unix(0, rec.seen).UTC(), Expires: m.endOf(rec),
	}
}

// End ends one session of the subject by its handle, as [Manager.Sessions] lists it.
// A handle that is not one of the subject's live sessions is 401 `credential_expired`
// or `credential_revoked`. That is about the session to be ended and not about the one of the
// request: answer 404 instead, so that the page does not take its own session for ended.
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
		told := m.ends.tell(middleware.Revocation{SessionHandle: handle, Expires: time.Now().Add(m.absolute)})
		if told != nil {
			return unavailable(told)
		}
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
