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

// hostPattern is host[:port] as a configuration gives it. With a wildcard, the endpoint is
// the parent of the names that it stands for.
type hostPattern struct {
	endpoint
	wild  bool
	label labelPattern // zero: subdomains at any depth
}

// labelPattern stands for the names with one label more than the parent's, which begins with
// the prefix, ends with the suffix, and has at least one letter, digit or hyphen in between.
type labelPattern struct{ prefix, suffix string }

func (l labelPattern) matches(label string) bool {
	n := len(label) - len(l.prefix) - len(l.suffix)
	return n > 0 && strings.HasPrefix(label, l.prefix) && strings.HasSuffix(label, l.suffix) &&
		isLDH(label[len(l.prefix):len(l.prefix)+n])
}

// isLDH reports whether s has only lower-case letters, digits and hyphens.
func isLDH(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// parsePattern reads host[:port] as a configuration gives it: names may be
// internationalized, "*." in front stands for subdomains of any depth, and one "*" inside the
// first label for a part of that label.
func parsePattern(s string, defaultPort uint16) (hostPattern, error) {
	if err := checkPrintable(s); err != nil {
		return hostPattern{}, err
	}
	rest, whole := strings.CutPrefix(s, "*.")
	name, _, err := splitPort(rest, defaultPort)
	if err != nil {
		return hostPattern{}, err
	}
	port := rest[len(name):]
	if whole {
		name = "*." + name
	}
	p, name, err := cutWildcard(name)
	if err != nil {
		return hostPattern{}, err
	}
	if name, err = toASCII(name); err != nil {
		return hostPattern{}, err
	}
	if p.endpoint, err = parseEndpoint(name+port, defaultPort); err != nil {
		return hostPattern{}, err
	}
	if p.wild {
		err = checkWildcard(p.host)
	}
	return p, err
}

var (
	errWildcard = errors.New(`a wildcard is the whole first label, or a part of it beside a hyphen, once: ` +
		`"*.app.example", "app-*.preview.example"`)
	errLabelPunycode = errors.New("a part of an xn-- label names nothing: write the whole label")
)

// cutWildcard returns the pattern that the first label is, and the name behind it.
func cutWildcard(name string) (p hostPattern, parent string, err error) {
	label, parent, below := strings.Cut(name, ".")
	switch {
	case !strings.Contains(name, "*"):
		return hostPattern{}, name, nil
	case strings.Count(name, "*") > 1 || !strings.Contains(label, "*") || !below:
		return p, "", errWildcard
	}
	p.wild = true
	prefix, suffix, _ := strings.Cut(strings.ToLower(label), "*")
	p.label = labelPattern{prefix, suffix}
	switch {
	case prefix != "" && !isBeside(prefix, prefix[len(prefix)-1], prefix[0]),
		suffix != "" && !isBeside(suffix, suffix[0], suffix[len(suffix)-1]):
		return p, "", errWildcard
	case strings.HasPrefix(prefix, "xn--"):
		return p, "", errLabelPunycode
	}
	return p, parent, nil
}

// isBeside reports whether s can stand beside a wildcard in a label: a hyphen separates the
// two, because *app.example would be evilapp.example, too, and the label ends in no hyphen.
func isBeside(s string, inner, outer byte) bool { return isLDH(s) && inner == '-' && outer != '-' }

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
		return fmt.Errorf("%q is a public suffix, under which anyone may own a name: name a domain that is yours alone", host)
	}
	if s, _ := publicsuffix.PublicSuffix(child); s == child {
		return fmt.Errorf("every name under %q is a public suffix, which anyone may own: name your own domain", host)
	}
	return nil
}
