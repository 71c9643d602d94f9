package middleware

import (
	"errors"
	"fmt"
	"strings"
)

// maxOrigin is more than the longest possible origin: "https://", 253 bytes of host,
// ":65535".
const maxOrigin = 300

// origin is the tuple of RFC 6454 §4, in canonical form, so that == is §5's
// comparison. A scheme whose default port is unknown to us has port 0 for it.
type origin struct {
	scheme string
	endpoint
}

// String is the ASCII serialisation of RFC 6454 §6.2.
func (o origin) String() string {
	return o.scheme + "://" + o.without(defaultPort(o.scheme))
}

// clone shares no memory with the header that o was read from.
func (o origin) clone() origin {
	o.scheme, o.host = strings.Clone(o.scheme), strings.Clone(o.host)
	return o
}

func defaultPort(scheme string) uint16 {
	switch scheme {
	case "https":
		return 443
	case "http":
		return 80
	}
	return 0
}

var (
	errLongOrigin = fmt.Errorf("it is longer than %d bytes", maxOrigin)
	errNoScheme   = errors.New("it does not begin with a scheme and ://")
)

// parseOrigin reads the value of an Origin header other than "null".
func parseOrigin(s string) (origin, error) {
	if len(s) > maxOrigin {
		return origin{}, errLongOrigin
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || !isScheme(scheme) {
		return origin{}, errNoScheme
	}
	scheme = strings.ToLower(scheme)
	e, err := parseEndpoint(rest, defaultPort(scheme))
	return origin{scheme, e}, err
}

// isScheme is RFC 3986 §3.1.
func isScheme(s string) bool {
	for i, c := range []byte(s) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return s != ""
}

// parseAllowedOrigin reads an entry of [OriginConfig].Allow. Its errors say what to
// write instead.
func parseAllowedOrigin(entry string, localHTTP bool) (o origin, wild bool, err error) {
	authority, scheme, err := splitAllowedOrigin(entry)
	if err != nil {
		return origin{}, false, err
	}
	e, wild, err := parsePattern(authority, defaultPort(scheme))
	if err != nil {
		return origin{}, false, err
	}
	if scheme == "http" {
		loopback := e.host == "localhost" || e.host == "127.0.0.1" || e.host == "[::1]"
		switch {
		case wild || !loopback:
			return origin{}, false, fmt.Errorf("anyone on the network can replace a page that is loaded without TLS: write %q", "https://"+authority)
		case !localHTTP:
			return origin{}, false, errors.New("plaintext is for development: write https://, or set DangerouslyAllowLocalHTTP")
		}
	}
	return origin{scheme, e}, wild, nil
}

// splitAllowedOrigin returns the scheme and the authority of an entry that consists of them.
func splitAllowedOrigin(entry string) (authority, scheme string, err error) {
	scheme, rest, ok := strings.Cut(entry, "://")
	end := strings.IndexAny(rest, `/\?#`)
	if end < 0 {
		end = len(rest)
	}
	authority, scheme = rest[:end], strings.ToLower(scheme)
	_, host, hasUser := strings.Cut(authority, "@")
	switch {
	case entry == "":
		err = errors.New(`it is empty: write "https://app.example"`)
	case checkPrintable(entry) != nil:
		err = checkPrintable(entry)
	case strings.EqualFold(entry, "null"):
		err = errors.New(`every sandboxed frame and local file has this origin: write the "https://app.example" that serves the page`)
	case entry == "*" || authority == "*":
		err = errors.New("it is every origin, not a list: name the origins, or use DangerouslyAnyOrigin()")
	case strings.ContainsAny(entry, ",;"):
		err = errors.New("it holds several origins: write one per entry")
	case !ok:
		err = fmt.Errorf("the scheme is missing: write %q", "https://"+strings.TrimLeft(strings.TrimPrefix(entry, "https:"), "/"))
	case scheme == "ws" || scheme == "wss":
		err = fmt.Errorf("the Origin is that of the page, not of the socket: write %q", "https://"+authority)
	case scheme != "https" && scheme != "http":
		err = fmt.Errorf("only https is allowed: write %q", "https://"+authority)
	case authority == "":
		err = errors.New(`the host is missing: write "https://app.example"`)
	case hasUser:
		err = fmt.Errorf("an origin has no user: write %q", scheme+"://"+host)
	case end < len(rest):
		err = fmt.Errorf("an origin has neither path, query nor fragment, and no slash at its end: write %q", scheme+"://"+authority)
	}
	return authority, scheme, err
}
