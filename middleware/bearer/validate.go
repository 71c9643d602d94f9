package bearer

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// defaulted fills in what is zero.
func (c Config) defaulted() Config {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&c.Leeway, 30*time.Second)
	set(&c.MaxLifetime, 24*time.Hour)
	set(&c.Refresh, 5*time.Minute)
	set(&c.CoolDown, 10*time.Second)
	set(&c.MaxStale, max(time.Hour, 2*c.Refresh))
	if c.CacheSize == 0 {
		c.CacheSize = 4096
	}
	if c.Realm == "" {
		c.Realm = "api"
	}
	if len(c.Algorithms) == 0 {
		for a := Algorithm(1); a < algorithmEnd; a++ {
			c.Algorithms = append(c.Algorithms, a)
		}
	}
	return c
}

// validate reports everything that is wrong, but for the content of Keys.
func (c Config) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("bearer: "+format, args...)) }
	if !isName(c.Issuer) {
		wrong("issuer: must be given, in UTF-8 without control characters")
	}
	if !isName(c.Audience) {
		wrong("audience: must be given, in UTF-8 without control characters")
	}
	for _, err := range c.validateSource() {
		wrong("%w", err)
	}
	for i, a := range c.Algorithms {
		if a.String() == "" {
			wrong("algorithms: %d is none", a)
		} else if slices.Contains(c.Algorithms[:i], a) {
			wrong("algorithms: %s is given twice", a)
		}
	}
	for i, name := range c.Attributes {
		if name == "" || slices.Contains(c.Attributes[:i], name) {
			wrong("attributes: %q is empty or given twice", name)
		}
	}
	if strings.ContainsFunc(c.Realm, func(r rune) bool { return r < 0x20 || r >= 0x7f || r == '"' || r == '\\' }) {
		wrong("realm: must be printable ASCII without quotes and backslashes")
	}
	if c.CacheSize < 0 || c.CacheSize > 1<<20 {
		wrong("cache size: %d is not between 1 and %d", c.CacheSize, 1<<20)
	}
	errs = append(errs, c.validateTimes()...)
	return errors.Join(errs...)
}

func (c Config) validateTimes() (errs []error) {
	for _, d := range []struct {
		name               string
		value, least, most time.Duration
	}{
		{"leeway", c.Leeway, 1, 2 * time.Minute},
		{"max lifetime", c.MaxLifetime, time.Second, 24 * time.Hour},
		{"refresh", c.Refresh, time.Second, time.Hour},
		{"cool-down", c.CoolDown, time.Second, 30 * time.Second},
		{"max stale", c.MaxStale, c.Refresh, 24 * time.Hour},
	} {
		if d.value < d.least || d.value > d.most {
			errs = append(errs, fmt.Errorf("bearer: %s: %v is not between %v and %v", d.name, d.value, d.least, d.most))
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
		errs = append(errs, errors.New("keys: exactly one of JWKS, Keys and Discovery must be given"))
	}
	if c.JWKS != "" {
		if err := checkURL(c.JWKS); err != nil {
			errs = append(errs, fmt.Errorf("JWKS: %w", err))
		}
	}
	if c.Discovery {
		if err := checkURL(c.Issuer); err != nil {
			errs = append(errs, fmt.Errorf("discovery: issuer: %w", err))
		} else if strings.Contains(c.Issuer, "?") {
			errs = append(errs, errors.New("discovery: issuer: has a query (RFC 8414 §2)"))
		}
	}
	return errs
}

// checkURL wants https and nothing that hides or does not travel.
func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("is not a URL")
	case !strings.HasPrefix(s, "https://") || u.Host == "" || u.Hostname() == "":
		return errors.New("must be an https:// URL with a host")
	case u.User != nil:
		return errors.New("must not hold a user name or password")
	case strings.Contains(s, "#"):
		return errors.New("must not have a fragment")
	}
	return nil
}

func isName(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
