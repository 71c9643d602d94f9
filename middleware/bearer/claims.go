package bearer

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

var (
	errClaims   = errors.New("token claims are not strict JSON or of a wrong type")
	errMissing  = errors.New("token lacks a required claim")
	errKind     = errors.New("token is not an access token")
	errClient   = errors.New("token is for another client")
	errIssuer   = errors.New("token is from another issuer")
	errTenant   = errors.New("token is from a tenant that is not accepted")
	errAudience = errors.New("token is for another audience")
	errLifetime = errors.New("token lives longer than is allowed")
	errNotYet   = errors.New("token is not valid yet")
	errExpired  = errors.New("token expired")
)

// registered are the names of the claims that this package uses in every Profile.
var registered = []string{"iss", "sub", "jti", "client_id", "scope", "scp", "aud", "cnf", "exp", "nbf", "iat", "auth_time"}

// claims are those that this package uses. A claim that is absent is zero; exp and iat may
// be zero themselves.
type claims struct {
	iss, sub, jti, sid, clientID string
	scopes, roles                []string
	aud, cnf                     []byte // JSON
	exp, nbf, iat, authTime      time.Time
	hasExp, hasIat               bool
	attributes, kept             map[string]string
}

// claims reads the payload.
func (c *rules) claims(members []member) (claims, error) {
	out, err := registeredClaims(members)
	if err != nil {
		return claims{}, err
	}
	for _, name := range c.profile.ClientIDs {
		if out.clientID, err = nameIn(members, name); err != nil {
			return claims{}, err
		}
		if out.clientID != "" {
			break
		}
	}
	if out.sid, err = nameIn(members, c.profile.Session); err != nil {
		return claims{}, err
	}
	if err := c.takeScopes(&out, members); err != nil {
		return claims{}, err
	}
	for _, path := range c.roles {
		if err := out.takeRoles(members, path, c.profile.MaxBytes); err != nil {
			return claims{}, err
		}
	}
	slices.Sort(out.roles) // two paths may lead to one role
	out.roles = slices.Compact(out.roles)
	c.keep(&out, members)
	if out.clientID != "" {
		out.attribute("client_id", out.clientID)
	}
	return out, nil
}

// registeredClaims reads the claims that mean the same in every Profile.
func registeredClaims(members []member) (claims, error) {
	var out claims
	for _, m := range members {
		if !out.take(m) {
			return claims{}, mistaken(m)
		}
	}
	return out, nil
}

// nameIn returns the string that a claim is; empty if the claim is absent.
func nameIn(members []member, claim string) (string, error) {
	value := find(members, claim)
	name, _ := text(value)
	if value != nil && name == "" {
		return "", malformed(claim, value)
	}
	return name, nil
}

// keep takes the claims that the Config names.
func (c *rules) keep(out *claims, members []member) {
	for _, name := range c.attributes {
		value := find(members, name)
		if s, ok := text(value); ok {
			out.attribute(name, s)
		} else if value != nil {
			out.attribute(name, string(value))
		}
	}
	if len(c.kept) == 0 {
		return
	}
	out.kept = make(map[string]string, len(c.kept))
	for _, name := range c.kept {
		out.kept[name] = cmp.Or(string(find(members, name)), "null")
	}
}

// mistaken is the error of a claim that take has refused.
func mistaken(m member) error {
	err := malformed(string(m.name), m.value)
	switch string(m.name) {
	case "exp", "nbf", "iat", "auth_time":
		return fmt.Errorf("%w; want a number of seconds since 1970, not of milliseconds (RFC 7519 §2)", err)
	}
	return err
}

// malformed is the error of a claim of a wrong type, or one that is empty.
func malformed(name string, value []byte) error {
	return fmt.Errorf("%w: %.80q is %.80q", errClaims, name, value)
}

func (c *claims) attribute(name, value string) {
	if c.attributes == nil {
		c.attributes = map[string]string{}
	}
	c.attributes[name] = value
}

// take keeps a member it knows; false if its type is wrong. A claim that is present but
// empty is wrong as well, because it identifies nothing.
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

// appendStrings appends the elements of an array of strings; false if one does not pass the
// check.
func appendStrings(to []string, value []byte, limit int, check func(string) bool) ([]string, bool) {
	list, ok := array(value, limit)
	to = slices.Grow(to, len(list))
	for _, v := range list {
		word, isText := text(v)
		if !ok || !isText || !check(word) {
			return nil, false
		}
		to = append(to, word)
	}
	return to, ok
}

// takeRoles appends the roles at a path, if there are any.
func (c *claims) takeRoles(members []member, path []string, limit int) error {
	value := find(members, path[0])
	for _, name := range path[1:] {
		if value == nil || string(value) == "null" {
			return nil
		}
		inner, err := membersOf(value)
		if err != nil {
			return malformed(path[0], value)
		}
		value = find(inner, name)
	}
	if value == nil || string(value) == "null" {
		return nil
	}
	if role, ok := text(value); ok {
		c.roles = append(c.roles, role)
		return nil
	}
	if roles, ok := appendStrings(c.roles, value, limit, func(string) bool { return true }); ok {
		c.roles = roles
		return nil
	}
	named, err := membersOf(value)
	if err != nil {
		return fmt.Errorf("%w: roles at %q are %.80q; see Profile.Roles", errClaims, path, value)
	}
	for _, m := range named {
		if off := string(m.value); off != "false" && off != "null" {
			c.roles = append(c.roles, string(m.name))
		}
	}
	return nil
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
