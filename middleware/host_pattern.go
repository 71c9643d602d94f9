package middleware

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"
)

// parsePattern reads host[:port] as a configuration gives it: names may be
// internationalized, and "*." in front stands for subdomains of any depth.
func parsePattern(s string, defaultPort uint16) (e endpoint, wild bool, err error) {
	if err := checkPrintable(s); err != nil {
		return endpoint{}, false, err
	}
	s, wild = strings.CutPrefix(s, "*.")
	name, _, err := splitPort(s, defaultPort)
	if err != nil {
		return endpoint{}, false, err
	}
	port := s[len(name):]
	if strings.Contains(name, "*") {
		return endpoint{}, false, errors.New(`a wildcard is the whole first label, once: "*.app.example"`)
	}
	if name, err = toASCII(name); err != nil {
		return endpoint{}, false, err
	}
	if e, err = parseEndpoint(name+port, defaultPort); err != nil {
		return endpoint{}, false, err
	}
	if wild {
		err = checkWildcard(e.host)
	}
	return e, wild, err
}

// checkPrintable refuses characters that an editor does not show. The joiners are allowed:
// UTS #46 limits their places.
func checkPrintable(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("it is not UTF-8")
	}
	for _, c := range s {
		if unicode.IsSpace(c) || unicode.IsControl(c) || unicode.Is(unicode.Cf, c) && c != '\u200c' && c != '\u200d' {
			return fmt.Errorf("it contains %+q: remove the space or control character", c)
		}
	}
	return nil
}

// toASCII converts an internationalized name. A label that becomes plain ASCII was
// a look-alike of it (full-width letters, the Kelvin sign): it is an error, because
// a reader of the list would see another name than the one that is admitted.
func toASCII(name string) (string, error) {
	if strings.IndexFunc(name, func(c rune) bool { return c > unicode.MaxASCII }) < 0 {
		return name, nil
	}
	ascii, err := domainToASCII.ToASCII(name)
	if err != nil {
		return "", fmt.Errorf("the name is not valid (UTS #46): %w", err)
	}
	if _, err := canonicalName(ascii); err != nil {
		return "", err
	}
	from, to := strings.Split(name, "."), strings.Split(ascii, ".")
	same := func(a, b string) bool {
		return strings.EqualFold(a, b) && len(a) == len(b) || strings.HasPrefix(b, "xn--")
	}
	if !slices.EqualFunc(from, to, same) {
		return "", fmt.Errorf("it is written with look-alikes: write %q", ascii)
	}
	return ascii, nil
}

// checkWildcard refuses a wildcard over names with many owners: a public suffix
// (private section included: *.github.io), and a name whose every child is one
// (*.kawasaki.jp).
func checkWildcard(host string) error {
	if strings.HasPrefix(host, "[") || endsInNumber(host) {
		return errors.New("an IP address has no subdomains: name the addresses")
	}
	child := "x." + host
	if s, _ := publicsuffix.PublicSuffix(host); s == host {
		return fmt.Errorf("%q is a public suffix, under which anyone may own a name: name your own domain, as in %q", host, "*.app."+host)
	}
	if s, _ := publicsuffix.PublicSuffix(child); s == child {
		return fmt.Errorf("every name under %q is a public suffix, which anyone may own: name your own domain", host)
	}
	return nil
}
