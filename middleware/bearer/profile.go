package bearer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Profile describes the access tokens of one product: what tells them from its ID tokens
// (RFC 8725 §3.12), and in which claims it writes what. The zero value is RFC 9068. The
// functions of this package named after a product return its Profile; one of your own may begin
// with them or with the zero value. A Profile is read by New and must not be changed afterwards.
type Profile struct {
	_ [0]func()

	// Name is the product, for the errors of New. It may be empty.
	Name string

	// Types are the accepted values of typ in the header, compared as media types; "" is
	// a header without typ. Empty: at+jwt alone (RFC 9068 §4).
	Types []string

	// Require are claims that an access token has, and Forbid claims that it does not
	// have. At least one of the two must tell it from an ID token if Types does not.
	Require, Forbid []Claim

	// Optional are those of the claims iat, jti and client_id that may be absent. The others
	// are required, as exp, sub and, without NoAudience, aud are.
	Optional []string

	// ClientIDs are the claims that may have the client's id, of which the first that is
	// there counts; it becomes the Attribute client_id. Empty: client_id.
	ClientIDs []string

	// Scopes are the claims that may have the scopes, of which the first that is there
	// counts. Empty: scope. ScopeLists says that they may be a list of words; a string of
	// words is always understood (RFC 8693 §4.2).
	Scopes     []string
	ScopeLists bool

	// Roles are paths to roles: the names of a claim and of members within it. Each value that is
	// there is a string, a list of strings, or an object whose names are roles, except those with
	// false or null; all of them become Principal.Roles. "{audience}" in a name stands for each of
	// Config.Audience.
	Roles [][]string

	// Session is the claim that names the session. Empty: sid.
	Session string

	// NoAudience says that the tokens have no aud: Config.Clients takes its place.
	NoAudience bool

	// NoKeyID says that a token may have no kid, if the key set has one key for its alg. While
	// the issuer publishes two, such tokens are refused.
	NoKeyID bool

	// Tenant is the claim that names the tenant, for an issuer per tenant: Config.Issuer
	// then has "{tenant}" in its place, and Config.Tenants or Config.TenantAllowed says which
	// are accepted. Empty: one issuer.
	Tenant string

	// MaxLifetime is the default of Config.MaxLifetime; 0: 24 h.
	MaxLifetime time.Duration

	// MaxBytes is the length of the longest token; 0: 8 KiB, at most 32 KiB.
	MaxBytes int
}

// Claim is a condition on the claims of a token.
type Claim struct {
	// Names are the names of the claim; one of them is enough.
	Names []string

	// Values are the accepted strings; one of them is enough. An element that ends in *
	// stands for every string that begins so, and one that begins with * for every string
	// that ends so. A number or boolean counts as its JSON text, and a list as each of its
	// elements. Empty: any value but null.
	Values []string
}

// Has returns the Claim that is met by a token with the claim.
func Has(name string, values ...string) Claim { return Claim{Names: []string{name}, Values: values} }

// HasOneOf returns the Claim that is met by a token with any of the claims.
func HasOneOf(names ...string) Claim { return Claim{Names: names} }

// String returns the condition in words, for errors.
func (c Claim) String() string {
	s := strings.Join(c.Names, " or ")
	if len(c.Values) > 0 {
		s += " " + strings.Join(c.Values, " or ")
	}
	return s
}

// met returns whether the claim is there with one of the values.
func (c *Claim) met(members []member) bool {
	for _, name := range c.Names {
		value := find(members, name)
		if value == nil || string(value) == "null" {
			continue
		}
		if len(c.Values) == 0 || c.accepts(value) {
			return true
		}
		if list, ok := array(value, len(value)); ok && slices.ContainsFunc(list, c.accepts) {
			return true
		}
	}
	return false
}

// accepts returns whether a string, number or boolean is one of the values.
func (c *Claim) accepts(value []byte) bool {
	s, ok := text(value)
	if !ok {
		s = string(value)
	}
	return slices.ContainsFunc(c.Values, func(want string) bool { return matches(s, want) })
}

// found describes the values that a token has in place of the claim, for a cause.
func (c *Claim) found(members []member) string {
	var is []string
	for _, name := range c.Names {
		if value := find(members, name); value != nil {
			is = append(is, fmt.Sprintf("%s is %.80s", name, value))
		}
	}
	if len(is) == 0 {
		return "it has no " + strings.Join(c.Names, " and no ")
	}
	return strings.Join(is, ", ")
}

func matches(s, pattern string) bool {
	if p, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(s, p)
	}
	if p, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(s, p)
	}
	return s == pattern
}

// find returns the value of a member; nil if it is not there.
func find(members []member, name string) []byte {
	for _, m := range members {
		if string(m.name) == name {
			return m.value
		}
	}
	return nil
}

// defaulted fills in the defaults.
func (p Profile) defaulted() Profile {
	set := func(list *[]string, to string) {
		if len(*list) == 0 {
			*list = []string{to}
		}
	}
	set(&p.Types, "at+jwt")
	set(&p.ClientIDs, "client_id")
	set(&p.Scopes, "scope")
	if p.Session == "" {
		p.Session = "sid"
	}
	if p.MaxLifetime == 0 {
		p.MaxLifetime = 24 * time.Hour
	}
	if p.MaxBytes == 0 {
		p.MaxBytes = DefaultMaxBytes
	}
	return p
}

const (
	// DefaultMaxBytes is the length of the longest token, unless Profile.MaxBytes says otherwise.
	DefaultMaxBytes = 8 << 10

	maxMaxBytes    = 32 << 10
	maxMaxLifetime = 30 * 24 * time.Hour
)

// validate reports everything that is wrong.
func (p Profile) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("bearer: Profile."+format, args...)) }
	if slices.ContainsFunc(p.Types, func(t string) bool { return !isMediaType(t, "at+jwt") }) && len(p.Require)+len(p.Forbid) == 0 {
		wrong("Types: %q are also those of ID tokens: write in Require or Forbid what tells an access token from them (RFC 8725 §3.12)",
			p.Types)
	}
	for _, name := range p.Optional {
		if !slices.Contains([]string{"iat", "jti", "client_id"}, name) {
			wrong("Optional: %q is not one of iat, jti and client_id", name)
		}
	}
	errs = append(errs, p.validateNames("bearer: Profile.")...)
	if p.MaxLifetime < time.Second || p.MaxLifetime > maxMaxLifetime {
		wrong("MaxLifetime: %v is out of range: write 1 s to %v, or 0 for 24 h", p.MaxLifetime, maxMaxLifetime)
	}
	if p.MaxBytes < 1<<10 || p.MaxBytes > maxMaxBytes {
		wrong("MaxBytes: %d is out of range: write %d to %d, or 0 for %d", p.MaxBytes, 1<<10, maxMaxBytes, DefaultMaxBytes)
	}
	return errors.Join(errs...)
}

// validateNames reports errors of Require, Forbid and Roles.
func (p Profile) validateNames(prefix string) (errs []error) {
	for _, list := range [...]struct {
		field  string
		claims []Claim
	}{{"Require", p.Require}, {"Forbid", p.Forbid}} {
		for _, c := range list.claims {
			if len(c.Names) == 0 || slices.Contains(c.Names, "") {
				errs = append(errs, fmt.Errorf("%s%s: a Claim without a name: write Has(name) or HasOneOf(names...)", prefix, list.field))
			}
		}
	}
	for _, path := range p.Roles {
		if len(path) == 0 || slices.Contains(path, "") {
			errs = append(errs, fmt.Errorf("%sRoles: an empty path or name: write the claim and the members within it", prefix))
		}
	}
	return errs
}
