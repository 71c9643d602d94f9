package middleware

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	hstsDefault = 2 * 365 * 24 * time.Hour
	hstsLeast   = 365 * 24 * time.Hour // ASVS 3.4.1; https://hstspreload.org asks for the same
)

// hsts returns the value of Strict-Transport-Security. RFC 6797 §7.2 keeps it to
// secure transport, which a server behind a proxy cannot always detect; it is sent on
// every answer, and user agents ignore it on a plain transport (§8.1).
func (cfg *HeadersConfig) hsts() (string, error) {
	age := cfg.HSTS
	if age == 0 {
		age = hstsDefault
	}
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("middleware: HeadersConfig."+format, args...))
	}
	switch {
	case age < 0:
		fail("HSTS: %v is negative: write 0 for two years", age)
	case age%time.Second != 0:
		fail("HSTS: %v is not in whole seconds", age)
	case age < hstsLeast && cfg.HSTSPreload:
		fail("HSTSPreload: the lists want a year or more, not %v", age)
	case age < hstsLeast && !cfg.DangerouslyShortHSTS:
		fail("HSTS: %v is less than a year: write 0 for two years, or set DangerouslyShortHSTS for a roll-out", age)
	}
	if age >= hstsLeast && cfg.DangerouslyShortHSTS {
		fail("DangerouslyShortHSTS: HSTS is %v, which is not short: leave it out", age)
	}
	if cfg.HSTSPreload && cfg.HSTSThisHostOnly {
		fail("HSTSPreload: the lists want the subdomains, which HSTSThisHostOnly leaves out")
	}
	value := "max-age=" + strconv.FormatInt(int64(age/time.Second), 10)
	if !cfg.HSTSThisHostOnly {
		value += "; includeSubDomains"
	}
	if cfg.HSTSPreload {
		value += "; preload"
	}
	return value, errors.Join(errs...)
}

// chooseHeader returns the given one of the choices; for "" the first.
func chooseHeader(field, given string, choices []string) (string, error) {
	if given == "" {
		return choices[0], nil
	}
	if slices.Contains(choices, given) {
		return given, nil
	}
	known := slices.DeleteFunc(slices.Clone(choices), func(s string) bool { return s == "" })
	return "", fmt.Errorf("middleware: HeadersConfig.%s: %q is none of %s", field, given, strings.Join(known, ", "))
}

func joinNonEmpty(a, separator, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + separator + b
}
