package bearer

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
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

// registered are the names of the claims that this package uses, besides Config.SessionClaim.
var registered = []string{"iss", "sub", "jti", "client_id", "scope", "scp", "aud", "cnf", "exp", "nbf", "iat", "auth_time"}

// claims are those that this package uses. A claim that is absent is zero; exp and iat may
// be zero themselves.
type claims struct {
	iss, sub, jti, sid, clientID string
	aud, cnf, scope, scp         []byte // JSON
	exp, nbf, iat, authTime      time.Time
	hasExp, hasIat               bool
	attributes                   map[string]string
}

// claims reads the payload.
func (c *profile) claims(payload []byte) (claims, error) {
	members, err := object(payload)
	if err != nil {
		return claims{}, errClaims
	}
	var out claims
	for _, m := range members {
		if !out.take(m, c.sessionClaim) {
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

// take keeps a member it knows; false if its type is wrong. A claim that is present but
// empty is wrong as well, because it identifies nothing.
func (c *claims) take(m member, sessionClaim string) (ok bool) {
	switch string(m.name) {
	case sessionClaim:
		c.sid, ok = text(m.value)
		ok = ok && c.sid != ""
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
	case "auth_time": // OpenID Connect Core 1.0 §2
		c.authTime, ok = numericDate(m.value)
	default:
		return true
	}
	return ok
}

// scopes follows RFC 8693 §4.2: a string. Issuers that do not follow RFC 9068 may write a
// list, or name the claim scp.
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
// "" for none, and it is read so.
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
