package live

import (
	"cmp"
	"slices"
	"time"
)

// Info is one open member, for a list that its user is shown (ASVS 7.5.2).
type Info struct {
	ID            string // for [Registry.End]
	Issuer        string // of the principal, for [Registry.End]
	Method        string // of the principal: "session", "bearer", "ticket"
	SessionHandle string // empty: it belongs to no session
	Address       string // of the client, IPv6 as its /64; empty: unknown
	Opened        time.Time
}

// List returns the members of the issuer's subject, the newest first; empty if there are
// none. A principal of a token has the token's issuer, and that of a ticket the issuer of
// the credential it was issued for: if the sessions have another one, a user's connections
// are the lists of both. With session.Config.Issuer set to the tokens' issuer, one list has
// all. [Registry.ListSession] has those of one session, whichever their issuer.
func (g *Registry) List(issuer, subject string) []Info {
	return g.list(key{bySubject, issuer, subject})
}

// ListSession returns the members of one session, by the handle that session.Manager.Sessions
// lists: those of its cookie, of its tickets, and of its tokens, whose issuer may be another. The
// order is that of [Registry.List].
func (g *Registry) ListSession(handle string) []Info { return g.list(key{bySession, "", handle}) }

func (g *Registry) list(k key) []Info {
	if g.zero() {
		return nil
	}
	list := []Info{}
	for _, b := range g.index.list(k) {
		p := b.principal.Load()
		info := Info{
			ID: b.id, Issuer: p.Issuer, Method: p.Method,
			SessionHandle: p.SessionHandle, Opened: g.wallTime(b.opened.Load()).UTC(),
		}
		if b.share != nil {
			info.Address = b.share.address.String()
		}
		list = append(list, info)
	}
	slices.SortFunc(list, func(a, b Info) int { return cmp.Or(b.Opened.Compare(a.Opened), cmp.Compare(a.ID, b.ID)) })
	return list
}

// End ends one member of the subject by its id and issuer, as its [Info] has them; false if
// there is none. A nil cause is [Revoked], which tells the client to stop. The credential stays
// good: with it, the client may open another connection.
func (g *Registry) End(issuer, subject, id string, cause *Cause) bool {
	if g.zero() {
		return false
	}
	if cause == nil {
		cause = Revoked
	}
	found := false
	for _, b := range g.index.list(key{bySubject, issuer, subject}) {
		if b.id == id {
			b.end(cause)
			found = true
		}
	}
	return found
}
