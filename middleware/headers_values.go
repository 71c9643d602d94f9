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
// secure transport, which a server behind a proxy cannot always tell; it is sent on
// every answer, and user agents ignore it where the transport was plain (§8.1).
func (cfg *HeadersConfig) hsts() (string, error) {
	age := cfg.HSTS
	if age == 0 {
		age = hstsDefault
	}
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("middleware: headers: HSTS: "+format, args...))
	}
	switch {
	case age < 0:
		fail("%v is negative", age)
	case age%time.Second != 0:
		fail("%v is not in whole seconds", age)
	case age < hstsLeast && cfg.HSTSPreload:
		fail("preload needs a year or more, not %v", age)
	case age < hstsLeast && !cfg.DangerouslyShortHSTS:
		fail("%v is less than a year; a roll-out may use DangerouslyShortHSTS", age)
	}
	if age >= hstsLeast && cfg.DangerouslyShortHSTS {
		fail("DangerouslyShortHSTS is set, but %v is not short", age)
	}
	if cfg.HSTSPreload && cfg.HSTSThisHostOnly {
		fail("preload needs the subdomains, which HSTSThisHostOnly leaves out")
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
func chooseHeader(name, given string, choices []string) (string, error) {
	if given == "" {
		return choices[0], nil
	}
	if slices.Contains(choices, given) {
		return given, nil
	}
	known := slices.DeleteFunc(slices.Clone(choices), func(s string) bool { return s == "" })
	return "", fmt.Errorf("middleware: headers: %s: %q is none of %s", name, given, strings.Join(known, ", "))
}

func joinNonEmpty(a, separator, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + separator + b
}
