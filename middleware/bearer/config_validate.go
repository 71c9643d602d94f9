package bearer

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/securews/securews/internal/certificate"
	"github.com/securews/securews/internal/loopback"
	"github.com/securews/securews/internal/nilvalue"
)

// validate reports everything that is wrong, except for the content of Keys.
func (c Config) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("bearer: "+format, args...)) }
	errs = append(errs, c.Profile.validate())
	errs = append(errs, c.validateClaims()...)
	for _, err := range c.validateSource() {
		wrong("%w", err)
	}
	for i, a := range c.Algorithms {
		if a.String() == "" {
			wrong("Algorithms: %d is not an algorithm: write constants of this package", a)
		} else if slices.Contains(c.Algorithms[:i], a) {
			wrong("Algorithms: %s is given twice: write it once", a)
		}
	}
	errs = append(errs, c.validateTimes()...)
	return errors.Join(errs...)
}

// validateClaims reports errors of the fields that an IntrospectionConfig has, too.
func (c Config) validateClaims() (errs []error) {
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("bearer: "+format, args...)) }
	if !isName(c.Issuer) {
		wrong("Issuer: %.80q is not an issuer: write the iss of its tokens, in UTF-8 without control characters", c.Issuer)
	}
	errs = append(errs, c.validateParties()...)
	if strings.ContainsFunc(c.Realm, func(r rune) bool { return r != ' ' && notNQChar(r) }) {
		wrong("Realm: %.80q is not a valid realm: write printable ASCII without quotes and backslashes", c.Realm)
	}
	if c.CacheSize < 0 || c.CacheSize > 1<<20 {
		wrong("CacheSize: %d is out of range: write 1 to %d, or 0 for 4096", c.CacheSize, 1<<20)
	}
	if !isName(c.SessionClaim) || len(c.SessionClaim) > 255 {
		wrong("SessionClaim: %.80q is not a valid name: write at most 255 bytes of UTF-8 without control characters, or nothing for sid",
			c.SessionClaim)
	} else if slices.Contains(registered, c.SessionClaim) {
		wrong("SessionClaim: %s has another meaning: write the claim that names the session", c.SessionClaim)
	}
	if nilvalue.In(c.Revocations) {
		wrong("Revocations: a nil %T: write nil for none, or a value", c.Revocations)
	}
	if nilvalue.In(c.Sessions) {
		wrong("Sessions: a nil %T: write nil for none, or a value", c.Sessions)
	}
	if c.HTTPClient != nil && c.HTTPClient.Transport != nil {
		for _, err := range certificate.Check(c.HTTPClient.Transport) {
			wrong("HTTPClient: %w", err)
		}
	}
	return append(errs, c.validateResource()...)
}

// validateParties reports errors of Audience, Clients and tenants.
func (c Config) validateParties() (errs []error) {
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("bearer: "+format, args...)) }
	product := cmp.Or(c.Profile.Name, "RFC 9068")
	for _, list := range []struct {
		field string
		names []string
	}{
		{"Audience", c.Audience},
		{"Clients", c.Clients},
		{"Tenants", c.Tenants},
		{"Claims", c.Claims},
		{"Attributes", c.Attributes},
	} {
		for i, name := range list.names {
			if !isName(name) || slices.Contains(list.names[:i], name) {
				wrong("%s: %.80q is not a name, or given twice: write names in UTF-8 without control characters, each once",
					list.field, name)
			}
		}
	}
	switch {
	case c.Profile.NoAudience && len(c.Clients) == 0:
		wrong("Clients: %s access tokens have no aud: write the ids of the clients that may come here", product)
	case !c.Profile.NoAudience && len(c.Audience) == 0:
		wrong("Audience: it is empty: write this service's name, which is in the aud of %s access tokens for it", product)
	}
	templated := strings.Contains(c.Issuer, tenantPlace)
	switch accepts := len(c.Tenants) > 0 || c.TenantAllowed != nil; {
	case templated && c.Profile.Tenant == "":
		wrong("Issuer: %s in it needs a Profile with a Tenant, and the one of %s has none: write the whole issuer", tenantPlace, product)
	case templated && !accepts:
		wrong("Tenants: Issuer has %s in it: write the accepted tenants, or set TenantAllowed", tenantPlace)
	case templated && c.Discovery:
		wrong("Discovery: it needs one issuer, and Issuer has %s in it: write JWKS, the key set of all tenants", tenantPlace)
	case !templated && strings.ContainsAny(c.Issuer, "{}"):
		wrong("Issuer: %.200q has braces, which no token has: write %s for the tenant", c.Issuer, tenantPlace)
	case !templated && accepts:
		wrong("Tenants: Issuer has no %s in it: write that in place of the tenant, or leave Tenants and TenantAllowed empty", tenantPlace)
	}
	return errs
}

func (c Config) validateTimes() []error {
	return outOfRange([]setting{
		{"Leeway", c.Leeway, 1, 2 * time.Minute},
		{"MaxLifetime", c.MaxLifetime, time.Second, maxMaxLifetime},
		{"Refresh", c.Refresh, time.Second, time.Hour},
		{"CoolDown", c.CoolDown, time.Second, 30 * time.Second},
		{"MaxStale", c.MaxStale, c.Refresh, 24 * time.Hour},
	})
}

// setting is a field and its range.
type setting struct {
	name               string
	value, least, most time.Duration
}

func outOfRange(list []setting) (errs []error) {
	for _, d := range list {
		if d.value < d.least || d.value > d.most {
			errs = append(errs, fmt.Errorf("bearer: %s: %v is out of range: write %v to %v, or 0 for the default",
				d.name, d.value, d.least, d.most))
		}
	}
	return errs
}

func (c Config) validateSource() (errs []error) {
	given := 0
	for _, is := range []bool{c.JWKS != "", c.Keys != nil, c.Discovery} {
		if is {
			given++
		}
	}
	if given != 1 {
		errs = append(errs, mistake("Keys", "%d of JWKS, Keys and Discovery are given: write exactly one", given))
	}
	if c.JWKS != "" {
		if err := checkURL(c.JWKS, c.DangerouslyAllowLocalHTTP); err != nil {
			errs = append(errs, mistake("JWKS", "%w", err))
		}
	}
	if c.Discovery {
		errs = append(errs, checkDiscovery(c.Issuer, c.DangerouslyAllowLocalHTTP)...)
	}
	return errs
}

func checkDiscovery(issuer string, localHTTP bool) (errs []error) {
	if err := checkURL(issuer, localHTTP); err != nil {
		errs = append(errs, mistake("Issuer", "with Discovery: %w", err))
	} else if strings.Contains(issuer, "?") {
		errs = append(errs, mistake("Issuer", "has a query: with Discovery, write a URL without one (RFC 8414 §2)"))
	}
	return errs
}

// checkURL requires https, or localHTTP and http to this machine, and refuses a password, and a
// fragment, which would not be sent.
func checkURL(s string, localHTTP bool) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("not a URL: write an https:// URL with a host")
	case strings.HasPrefix(s, "http://") && loopback.Is(u.Hostname()) && !localHTTP:
		return errors.New("not https: set DangerouslyAllowLocalHTTP for an issuer on this machine, in development")
	case strings.HasPrefix(s, "http://") && loopback.Is(u.Hostname()):
	case !strings.HasPrefix(s, "https://") || u.Host == "" || u.Hostname() == "":
		return errors.New("not https: write an https:// URL with a host; http is for localhost and loopback addresses")
	}
	switch {
	case u.User != nil:
		return errors.New("has a user name or password: write the URL without them")
	case strings.Contains(s, "#"):
		return errors.New("has a fragment: write the URL without one")
	}
	return nil
}

func isName(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// mistake is an error of the field.
func mistake(field, format string, args ...any) error {
	return fmt.Errorf(field+": "+format, args...)
}
