package bearer

import (
	"time"

	"github.com/securews/securews/middleware"
)

// profile is the part of a Config that the checks of a token use. It is immutable.
type profile struct {
	issuer, audience string
	algorithms       algorithmSet
	leeway           time.Duration
	maxLifetime      time.Duration
	anyJWT           bool
	attributes       []string
	sessionClaim     string
	challenge        string
	fromSubprotocol  bool
	ownSessions      bool // sid is a handle of Config.Sessions
}

// verified is a token that passed the checks which do not depend on the time.
type verified struct {
	principal middleware.Principal
	notBefore time.Time // nbf or iat, the later, less the leeway; zero: neither
	at        slot
	by        *key
}

// judge applies RFC 9068 §4 and RFC 7519 §4.1 to a token whose signature verified. Its
// error is errExpired only if the token is good otherwise.
func (c *profile) judge(payload []byte, token string, now time.Time) (*verified, error) {
	got, err := c.claims(payload)
	if err != nil {
		return nil, err
	}
	if err := c.isForUs(got); err != nil {
		return nil, err
	}
	scopes, ok := c.scopes(got)
	if !ok {
		return nil, errScope
	}
	if got.exp.After(now.Add(c.maxLifetime + c.leeway)) {
		return nil, errLifetime
	}
	v := &verified{principal: middleware.Principal{
		Issuer: got.iss, Subject: got.sub, Method: "bearer",
		Scopes: scopes, Attributes: got.attributes,
		IssuedAt: got.iat, AuthTime: got.authTime, Expires: got.exp.Add(c.leeway),
	}}
	if v.principal.TokenHandle = TokenHandleOf(token); got.jti != "" {
		v.principal.TokenHandle = TokenHandle(got.iss, got.jti)
	}
	if v.principal.SessionHandle = got.sid; got.sid != "" && !c.ownSessions {
		v.principal.SessionHandle = SessionHandle(got.iss, got.sid)
	}
	if got.cnf != nil {
		if v.principal.Binding.CertificateSHA256, err = parseBinding(got.cnf); err != nil {
			return nil, err
		}
	}
	for _, t := range []time.Time{got.nbf, got.iat} {
		if t = t.Add(-c.leeway); t.After(v.notBefore) {
			v.notBefore = t
		}
	}
	return v, v.current(now)
}

// isForUs checks that the required claims are present, and issuer and audience.
func (c *profile) isForUs(got claims) error {
	switch {
	case got.iss != c.issuer:
		return errIssuer
	case !got.hasExp, got.sub == "", got.aud == nil,
		!c.anyJWT && (!got.hasIat || got.jti == "" || got.clientID == ""):
		return errMissing
	case !isFor(got.aud, c.audience):
		return errAudience
	}
	return nil
}

// current compares with the clock: accepted from notBefore on, refused "on or after" exp
// plus leeway (RFC 7519 §4.1.4, §4.1.5).
func (v *verified) current(now time.Time) error {
	if now.Before(v.notBefore) {
		return errNotYet
	}
	if !now.Before(v.principal.Expires) {
		return errExpired
	}
	return nil
}

// isFor follows RFC 7519 §4.1.3: one string, or an array of strings.
func isFor(aud []byte, want string) bool {
	if one, ok := text(aud); ok {
		return one == want
	}
	list, ok := array(aud, MaxTokenBytes)
	found := false
	for _, v := range list {
		one, isText := text(v)
		ok = ok && isText
		found = found || one == want
	}
	return ok && found
}
