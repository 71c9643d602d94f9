package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/securews/securews/middleware"
)

// SetRoles replaces the roles of all sessions that the subject has, from their next request on
// and on every node that has the same store. The sessions go on.
//
// A connection whose principal has other roles ends with 3000 `reauth`: those of this process
// before SetRoles returns, those of another at the next recheck. Its client authenticates
// again, and ws.Config.Authorize decides by the new roles. A ticket from before is refused with
// 401 `credential_outdated`, and so is an unanswered request behind live.Registry.Handler. A
// token with a sid keeps the roles that its issuer gave it until it expires, with the connections
// that it opened: [Manager.LogoutEverywhere] reaches those, too.
//
// A session whose Login begins afterwards has the roles that Login is given. So change the
// roles in the application's own records first, then call SetRoles: a Login that has read them
// before, and begins after, brings the old ones.
func (m *Manager) SetRoles(ctx context.Context, subject string, roles []string) error {
	if m.zero() {
		return errZero
	}
	defer m.outdated(ctx)
	switch err := validateRoles(roles); {
	case subject == "":
		return errors.New("session: set roles: the subject is empty")
	case err != nil:
		return fmt.Errorf("session: set roles: %w", err)
	}
	ctx, cancel := m.committing()
	defer cancel()
	key, value := entryKey(kindRoles, m.issuer, subject), entryValue(kindRoles, newMark()+string(appendList(nil, roles)))
	expires := time.Now().Add(entryRetention)
	err := m.ends.inTurn(ctx, key, func() error { return m.store.commitRaw(ctx, key, value, expires) })
	told := m.ends.tell(m.askAbout(subject, time.Now().Round(0))) // also on an error: the store may have taken it
	if err = errors.Join(err, told); err != nil {
		return unavailable(err)
	}
	return nil
}

func validateRoles(roles []string) error {
	switch id := (Identity{Subject: "x", Roles: roles}); {
	case len(roles) > maxCount:
		return fmt.Errorf("%d roles are more than %d", len(roles), maxCount)
	case !utf8.ValidString(strings.Join(roles, " ")): // a space neither completes nor breaks a letter
		return errors.New("a role is not UTF-8")
	default:
		return id.validate()
	}
}

// splitRoles returns the mark and the list of a kindRoles entry; nil if it is absent.
func splitRoles(b []byte) (mark, list []byte, err error) {
	p, err := payloadOf(b, kindRoles)
	switch {
	case err != nil || p == nil:
		return nil, nil, err
	case len(p) <= markSize:
		return nil, nil, errEntry
	}
	return p[:markSize], p[markSize:], nil
}

// rolesOf returns the roles of a kindRoles entry. They stand in for those of a record from before,
// which stay in the record, so that no write of it can bring others back.
func rolesOf(b []byte) ([]string, error) {
	_, list, err := splitRoles(b)
	d := decoder{rest: string(list)}
	if roles := d.list(); err == nil && !d.bad && d.rest == "" {
		return roles, nil
	}
	return nil, errEntry
}

// backs refuses a principal of another subject, or with other roles or scopes.
func (rec *record) backs(p *middleware.Principal) error {
	switch {
	case rec.subject != p.Subject:
		return errGone
	case !slices.Equal(rec.current, p.Roles) || !slices.Equal(rec.scopes, p.Scopes):
		return errOutdated
	}
	return nil
}
