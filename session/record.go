package session

import (
	"math/rand/v2"
	"time"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

// record is the store's content for one session. It is immutable once decoded.
type record struct {
	issuer     string
	subject    string // "": no login yet
	scopes     []string
	roles      []string // of the sign-in
	attributes map[string]string
	values     []value // sorted by name, each once

	marks    marks // of the subject, at the sign-in or the renewal
	provider provider

	current []string // the roles, as SetRoles may have replaced them; not stored

	// Unix nanoseconds.
	login int64 // the login; creation if there was none
	start int64 // creation: the login, or the renewal by LogoutOthers
	seen  int64 // last extension of the idle time-out
	end   int64 // absolute
}

// value is one of the application: JSON under a name.
type value struct{ name, json string }

// live reports whether neither time-out has passed. A smaller Absolute than the one
// the session began with counts at once.
func (m *Manager) live(rec *record, now time.Time) bool {
	return now.Before(m.expiry(rec))
}

func (m *Manager) endOf(rec *record) time.Time {
	return time.Unix(0, min(rec.end, rec.login+int64(m.absolute))).UTC()
}

// expiry is when the session ends without another request.
func (m *Manager) expiry(rec *record) time.Time {
	idle := time.Unix(0, rec.seen+int64(m.idle)).UTC()
	if end := m.endOf(rec); end.Before(idle) {
		return end
	}
	return idle
}

// recheckBy is when a connection asks again at the latest: at the idle end, or halfway there if the
// question itself extends it.
func (m *Manager) recheckBy(rec *record) time.Time {
	if m.connectionsExtend {
		return m.halfway(time.Unix(0, rec.seen).UTC())
	}
	return m.expiry(rec)
}

// halfway is half of the idle time-out after then, less up to a tenth, so that connections do not all
// ask at once.
func (m *Manager) halfway(then time.Time) time.Time {
	return then.Add(m.idle/2 - rand.N(m.idle/10))
}

// due reports whether the idle time-out is to be extended.
func (m *Manager) due(rec *record, now time.Time) bool {
	return now.UnixNano()-rec.seen >= int64(m.extendEvery)
}

// principal is the record's identity; revocations are asked about it.
func (m *Manager) principal(handle string, rec *record) middleware.Principal {
	p := middleware.Principal{
		Issuer: m.issuer, Subject: rec.subject, SessionHandle: handle, Method: "session",
		Scopes: rec.scopes, Roles: rec.current, Attributes: rec.attributes,
		IssuedAt: time.Unix(0, rec.start).UTC(), AuthTime: time.Unix(0, rec.login).UTC(), Expires: m.endOf(rec),
	}
	p.SetRecheckBy(contextkey.Key(), m.recheckBy(rec))
	return p
}

func (m *Manager) newRecord(id Identity, now time.Time) *record {
	return &record{
		issuer: m.issuer, subject: id.Subject, scopes: id.Scopes, roles: id.Roles, current: id.Roles, attributes: id.Attributes,
		provider: newProvider(id.Provider),
		start:    now.UnixNano(), login: now.UnixNano(), seen: now.UnixNano(), end: now.Add(m.absolute).UnixNano(),
	}
}
