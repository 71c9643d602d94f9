package storetest

import (
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// reaches has principals of its own in each row: p is someone, revoked by what revoke returns,
// and asked about after ask has changed it.
func reaches(t testing.TB, open func(testing.TB) middleware.Revocations) {
	l := revocationsHandleOf(t, open)
	type principal = middleware.Principal
	type revocation = middleware.Revocation
	now := time.Now()
	session := func(p principal) revocation { return revocation{SessionHandle: p.SessionHandle} }
	token := func(p principal) revocation { return revocation{TokenHandle: p.TokenHandle} }
	subject := func(p principal) revocation { return revocation{Issuer: p.Issuer, Subject: p.Subject, Before: now} }
	everyIssuer := func(p principal) revocation { return revocation{Subject: p.Subject, Before: now} }
	for _, tt := range []struct {
		name   string
		revoke func(p principal) revocation
		ask    func(p *principal)
		want   bool
	}{
		{"the session", session, func(p *principal) { p.TokenHandle = newKey() }, true},
		{"the session alone", session, func(p *principal) { *p = principal{SessionHandle: p.SessionHandle} }, true},
		{"another session of the subject", session, func(p *principal) { p.SessionHandle = newKey() }, false},
		{
			"a token whose handle is that of a revoked session",
			session, func(p *principal) { p.TokenHandle, p.SessionHandle = p.SessionHandle, "" }, false,
		},

		{"the token", token, func(p *principal) { p.SessionHandle = newKey() }, true},
		{"the token alone", token, func(p *principal) { *p = principal{TokenHandle: p.TokenHandle} }, true},
		{"another token of the subject", token, func(p *principal) { p.TokenHandle = newKey() }, false},
		{
			"a session whose handle is that of a revoked token",
			token, func(p *principal) { p.TokenHandle, p.SessionHandle = "", p.TokenHandle }, false,
		},

		{"the subject", subject, func(*principal) {}, true},
		{"the subject without handles", subject, func(p *principal) { p.SessionHandle, p.TokenHandle = "", "" }, true},
		{"a credential that does not tell when it was issued", subject, func(p *principal) { p.IssuedAt = time.Time{} }, true},
		{"another subject", subject, func(p *principal) { p.Subject += "x" }, false},
		{"the subject in other capitals", subject, func(p *principal) { p.Subject = "U" + p.Subject[1:] }, false},
		{"the same subject of another issuer", subject, func(p *principal) { p.Issuer = "https://other.example" }, false},
		{"the same subject without an issuer", subject, func(p *principal) { p.Issuer = "" }, false},
		{
			"an issuer and a subject that are equal only when they are joined",
			subject, func(p *principal) { p.Issuer, p.Subject = p.Issuer+p.Subject[:1], p.Subject[1:] }, false,
		},

		{"the subject of every issuer", everyIssuer, func(*principal) {}, true},
		{"the subject of every issuer, without an issuer", everyIssuer, func(p *principal) { p.Issuer = "" }, true},
		{"a principal without a subject and handles", everyIssuer, func(p *principal) { *p = principal{Method: "anonymous"} }, false},
	} {
		p := someone()
		asked := with(p, tt.ask)
		l.answers(tt.name+", before", asked, false)
		l.revoke(tt.revoke(p))
		l.answers(tt.name+", after Revoke", asked, tt.want)
	}
}

func namesSeveral(t testing.TB, open func(testing.TB) middleware.Revocations) {
	l := revocationsHandleOf(t, open)
	p := someone()
	l.revoke(middleware.Revocation{Issuer: p.Issuer, Subject: p.Subject, SessionHandle: p.SessionHandle, TokenHandle: p.TokenHandle})
	stranger := someone()
	for what, p := range map[string]middleware.Principal{
		"its session alone": with(stranger, func(q *middleware.Principal) { q.SessionHandle = p.SessionHandle }),
		"its token alone":   with(stranger, func(q *middleware.Principal) { q.TokenHandle = p.TokenHandle }),
		"its subject alone": with(stranger, func(q *middleware.Principal) { q.Subject = p.Subject }),
	} {
		l.answers(what, p, true)
	}
	l.answers("none of them", stranger, false)
}
