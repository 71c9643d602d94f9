package bearer

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/securews/securews/middleware"
)

var (
	errClaims   = errors.New("token claims are not strict JSON or of a wrong type")
	errMissing  = errors.New("token lacks a required claim")
	errIssuer   = errors.New("token is from another issuer")
	errAudience = errors.New("token is for another audience")
	errScope    = errors.New("token scope is malformed")
	errLifetime = errors.New("token lives longer than is allowed")
	errNotYet   = errors.New("token is not valid yet")
	errExpired  = errors.New("token expired")
)

// claims are the ones that decide. A claim that is absent is zero; exp and iat may be zero
// themselves.
type claims struct {
	iss, sub, jti, clientID string
	aud, cnf, scope, scp    []byte // as they stand
	exp, nbf, iat           time.Time
	hasExp, hasIat          bool
	attributes              map[string]string
}

// verified is a token that was found good, and what is left to check each time.
type verified struct {
	principal middleware.Principal
	notBefore time.Time // nbf or iat, the later, less the leeway; zero: neither
	at        slot
	by        *key
}

// claims reads the payload.
func (c *profile) claims(payload []byte) (claims, error) {
	members, err := object(payload)
	if err != nil {
		return claims{}, errClaims
	}
	var out claims
	for _, m := range members {
		if !out.take(m) {
			return claims{}, errClaims
		}
		if slices.Contains(c.attributes, string(m.name)) {
			if s, ok := text(m.value); ok {
				out.attribute(string(m.name), s)
			}
		}
	}
	if out.clientID != "" {
		out.attribute("client_id", out.clientID)
	}
	return out, nil
}

func (c *claims) attribute(name, value string) {
	if c.attributes == nil {
		c.attributes = map[string]string{}
	}
	c.attributes[name] = value
}

// take keeps a member it knows; false where its type is wrong. A claim that is there but
// empty is wrong as well: it names nobody.
func (c *claims) take(m member) (ok bool) {
	switch string(m.name) {
	case "iss":
		c.iss, ok = text(m.value)
	case "sub":
		c.sub, ok = text(m.value)
		ok = ok && c.sub != ""
	case "jti":
		c.jti, ok = text(m.value)
		ok = ok && c.jti != ""
	case "client_id":
		c.clientID, ok = text(m.value)
		ok = ok && c.clientID != ""
	case "scope":
		c.scope, ok = m.value, true
	case "scp":
		c.scp, ok = m.value, true
	case "aud":
		c.aud, ok = m.value, true
	case "cnf":
		c.cnf, ok = m.value, true
	case "exp":
		c.exp, ok = numericDate(m.value)
		c.hasExp = ok
	case "nbf":
		c.nbf, ok = numericDate(m.value)
	case "iat":
		c.iat, ok = numericDate(m.value)
		c.hasIat = ok
	default:
		return true
	}
	return ok
}

// judge applies RFC 9068 §4 and RFC 7519 §4.1 to a token whose signature verified. That
// it has expired is said only of a token that was good otherwise.
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
		IssuedAt: got.iat, Expires: got.exp.Add(c.leeway),
	}}
	if v.principal.TokenHandle = TokenHandle(token); got.jti != "" {
		v.principal.TokenHandle = Handle(got.iss, got.jti)
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

// isForUs looks for what must be there, and at who issued the token for whom.
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

// current compares with the clock: accepted from notBefore on, refused "on or after"
// exp and leeway (RFC 7519 §4.1.4, §4.1.5).
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

// scopes follows RFC 8693 §4.2: a string. Issuers of other tokens write a list, or name the
// claim scp.
func (c *profile) scopes(got claims) ([]string, bool) {
	value := got.scope
	if value == nil && c.anyJWT {
		value = got.scp
	}
	if value == nil {
		return nil, true
	}
	if s, ok := text(value); ok {
		return splitScope(s)
	}
	list, ok := array(value, MaxTokenBytes)
	ok = ok && c.anyJWT
	var words []string
	for _, v := range list {
		word, isText := text(v)
		ok = ok && isText && isScope(word)
		words = append(words, word)
	}
	return words, ok
}

// splitScope follows RFC 6749 §3.3: words with one space between them. Some issuers write
// "" for none; so do we read it.
func splitScope(scope string) ([]string, bool) {
	if scope == "" {
		return nil, true
	}
	words := strings.Split(scope, " ")
	for _, w := range words {
		if !isScope(w) {
			return nil, false
		}
	}
	return words, true
}

// isScope follows RFC 6749 §3.3: printable ASCII without quote and backslash.
func isScope(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= 0x20 || r >= 0x7f || r == '"' || r == '\\' })
}

// lastDate is the end of the year 9999, the last that RFC 3339 can write.
const lastDate = 253402300799

// numericDate reads RFC 7519 §2: seconds since 1970 as a JSON number, fractions allowed.
func numericDate(value []byte) (time.Time, bool) {
	s := string(value)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Unix(n, 0), n >= 0 && n <= lastDate
	}
	if s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return time.Time{}, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f < 0 || f > lastDate {
		return time.Time{}, false
	}
	sec, frac := math.Modf(f)
	return time.Unix(int64(sec), int64(frac*1e9)), true
}
