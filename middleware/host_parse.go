package middleware

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// endpoint is a host and a port in canonical form, so that == compares them: a
// name in lower-case ASCII, an IPv4 address in four decimal parts, or an IPv6
// address as RFC 5952 writes it, in brackets.
type endpoint struct {
	host string
	port uint16
}

func (e endpoint) String() string { return fmt.Sprintf("%s:%d", e.host, e.port) }

// without returns the host alone where the port is the default one.
func (e endpoint) without(defaultPort uint16) string {
	if e.port == defaultPort {
		return e.host
	}
	return e.String()
}

// parseEndpoint reads host[:port] as it comes over the wire. It takes the letter
// case of names and every spelling of an IPv6 address; everything else has one
// spelling (RFC 6454 §4, WHATWG URL §3.5). It does not allocate for a name that is
// already canonical.
func parseEndpoint(s string, defaultPort uint16) (endpoint, error) {
	host, port, err := splitPort(s, defaultPort)
	if err != nil {
		return endpoint{}, err
	}
	if strings.HasPrefix(host, "[") {
		host, err = canonicalIPv6(host)
	} else {
		host, err = canonicalName(host)
	}
	return endpoint{host, port}, err
}

// splitPort leaves the brackets of an IPv6 address on the host.
func splitPort(s string, defaultPort uint16) (host string, port uint16, err error) {
	end := strings.IndexByte(s, ':')
	if strings.HasPrefix(s, "[") {
		end = strings.IndexByte(s, ']') + 1
		if end == 0 {
			return "", 0, errors.New("a bracket is not closed")
		}
	}
	if end < 0 || end == len(s) {
		return s, defaultPort, nil
	}
	if s[end] != ':' {
		return "", 0, fmt.Errorf("%q stands behind the brackets", s[end])
	}
	if strings.Count(s[end:], ":") > 1 {
		return "", 0, errors.New("an IPv6 address stands in brackets: [::1]")
	}
	port, err = parsePort(s[end+1:])
	return s[:end], port, err
}

func parsePort(s string) (uint16, error) {
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || len(s) > 5 {
			return 0, fmt.Errorf("%.20q is no port: a number from 1 to 65535", s)
		}
		n = 10*n + int(c-'0')
	}
	if n < 1 || n > 65535 || s[0] == '0' {
		return 0, fmt.Errorf("%.20q is no port: a number from 1 to 65535 without leading zeros", s)
	}
	return uint16(n), nil
}

func canonicalIPv6(bracketed string) (string, error) {
	a, err := netip.ParseAddr(strings.TrimSuffix(bracketed[1:], "]"))
	switch {
	case err != nil || !a.Is6():
		return "", fmt.Errorf("%.60q is no IPv6 address", bracketed)
	case a.Zone() != "":
		return "", errors.New("an IPv6 zone means something on one machine only")
	}
	return "[" + a.String() + "]", nil
}

// canonicalName takes letters, digits, '-', '_' and '.': narrower than WHATWG URL
// §3.5, which leaves '{', '!' and their like to names that no registry delegates.
func canonicalName(s string) (string, error) {
	if len(s) > 253 {
		return "", errors.New("the host is longer than 253 bytes (RFC 1035 §2.3.4)")
	}
	start := 0
	for i := 0; i <= len(s); i++ {
		switch {
		case i == len(s) || s[i] == '.':
			if i == start {
				return "", errors.New("a label of the host is empty")
			}
			if i-start > 63 {
				return "", errors.New("a label of the host is longer than 63 bytes (RFC 1035 §2.3.4)")
			}
			start = i + 1
		case !isNameByte(s[i]):
			return "", fmt.Errorf("%q stands in the host", s[i])
		}
	}
	s = strings.ToLower(s)
	if endsInNumber(s) {
		// WHATWG URL §3.5: such a host is an IPv4 address or nothing. Of its many
		// spellings (127.1, 0x7f.1, 0177.0.0.1) browsers send one.
		if a, err := netip.ParseAddr(s); err != nil || !a.Is4() {
			return "", errors.New("a host that ends in a number is an IPv4 address in four decimal parts")
		}
	}
	if strings.Contains(s, "xn--") {
		if a, err := domainToASCII.ToASCII(s); err != nil || a != s {
			return "", errors.New("an xn-- label is not valid (UTS #46 §4)")
		}
	}
	return s, nil
}

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// endsInNumber is WHATWG URL §3.5, "ends in a number checker".
func endsInNumber(lower string) bool {
	last := lower[strings.LastIndexByte(lower, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

// domainToASCII is WHATWG URL §3.3, "domain to ASCII", not strict: what browsers do.
var domainToASCII = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false), idna.CheckHyphens(false))

// parsePattern reads host[:port] as a configuration gives it: names may be
// internationalised, and "*." in front stands for subdomains of any depth.
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

// checkPrintable refuses what an editor does not show. The joiners stay: UTS #46
// says where they may stand.
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

// toASCII converts an internationalised name. A label that becomes plain ASCII was
// a look-alike of it (full-width letters, the Kelvin sign): it is an error, because
// whoever reads the list sees another name than the one that is let in.
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

// checkWildcard refuses a wildcard over names that belong to many: a public suffix
// (private section included: *.github.io), and a name whose every child is one
// (*.kawasaki.jp).
func checkWildcard(host string) error {
	if strings.HasPrefix(host, "[") || endsInNumber(host) {
		return errors.New("an IP address has no subdomains: name the addresses")
	}
	child := "x." + host
	if s, _ := publicsuffix.PublicSuffix(host); s == host {
		return fmt.Errorf("%q is a public suffix, anybody may own a name under it: name your own domain, as in %q", host, "*.app."+host)
	}
	if s, _ := publicsuffix.PublicSuffix(child); s == child {
		return fmt.Errorf("every name under %q is a public suffix, anybody may own one: name your own domain", host)
	}
	return nil
}

// underWildcard reports whether the host is a subdomain, at any depth, of one of
// the parents, at the same port. It does not reach past a public suffix, which
// [checkWildcard] cannot see from above: below s3.amazonaws.com there are other
// owners than below amazonaws.com.
func underWildcard(parents map[endpoint]struct{}, e endpoint) bool {
	if len(parents) == 0 {
		return false
	}
	suffix, _ := publicsuffix.PublicSuffix(e.host)
	for {
		i := strings.IndexByte(e.host, '.')
		if i < 0 || len(e.host)-i-1 <= len(suffix) {
			return false
		}
		e.host = e.host[i+1:]
		if _, ok := parents[e]; ok {
			return true
		}
	}
}
