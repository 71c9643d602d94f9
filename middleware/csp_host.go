package middleware

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/securews/securews/internal/loopback"
)

func (d *cspDirective) checkScheme(s string) error {
	switch {
	case slices.Contains(d.schemes, s):
		return nil
	case s == "http:", s == "ws:":
		return errors.New("it is plaintext: write https:// or wss://")
	case d.websocket && (s == "https:" || s == "wss:"):
		return errors.New("it is too much for this list: a scheme alone admits every host: name the hosts, or set DangerouslyAnyConnect")
	}
	return errors.New("it is too much for this list: a scheme alone admits every host or any content: name the hosts")
}

func (d *cspDirective) checkHost(s string) error {
	scheme, rest, hasScheme := strings.Cut(s, "://")
	if !hasScheme {
		scheme, rest = "", s
	}
	authority, path, _ := strings.Cut(rest, "/")
	switch {
	case d.inline:
		return errors.New("an attribute has no host: write 'none' or hashes")
	case scheme == "http", scheme == "ws":
		return d.checkLocal(scheme, authority, path)
	case hasScheme && scheme != "https" && (scheme != "wss" || !d.websocket):
		return errors.New("its scheme is not for this list: write https://")
	}
	host, isWildcard := strings.CutPrefix(authority, "*.")
	switch {
	case !isURLHost(host), !hasScheme && !strings.Contains(host, "."):
		return errors.New("it is neither a host nor a keyword")
	case isWildcard:
		if err := d.checkWildcard(host); err != nil {
			return err
		}
	}
	return checkSourcePath(path)
}

// checkWildcard refuses a wildcard over names with many owners. A host of scripts is believed
// in full, so for that the private section of the list counts as well: *.github.io.
func (d *cspDirective) checkWildcard(host string) error {
	name, _, _ := strings.Cut(host, ":")
	suffix, isICANN := publicsuffix.PublicSuffix(strings.ToLower(name))
	switch {
	case d.scripts && !d.wildcards:
		return errors.New("it is a wildcard, which is not for this list: name the hosts, or set DangerouslyScriptWildcards")
	case !d.wildcards:
		return errors.New("it is a wildcard, which is not for this list: name the hosts")
	case !strings.Contains(name, "."), isICANN && strings.EqualFold(suffix, name):
		return errors.New("it is a wildcard over a whole top-level domain: name your own domain")
	case d.scripts || endsInNumber(name):
		return checkWildcard(strings.ToLower(name))
	}
	return nil
}

// checkLocal accepts plaintext to this machine alone, with any port as ":*".
func (d *cspDirective) checkLocal(scheme, authority, path string) error {
	host, port, _ := strings.Cut(authority, ":")
	isLocal := !strings.Contains(host, ":") && loopback.Is(host) || namesLocalhost(host)
	switch {
	case !isLocal || scheme == "ws" && !d.websocket:
		return errors.New("it is plaintext: write https:// or wss://")
	case !d.localHTTP:
		return errors.New("it is plaintext: write https:// or wss://, or set DangerouslyAllowLocalHTTP for this machine")
	case !isSourceHost(host), port != "*" && !isSourceHost(authority):
		return errors.New("it is neither a host nor a keyword")
	}
	return checkSourcePath(path)
}

func checkSourcePath(path string) error {
	if strings.ContainsAny(path, `?#\<>^{|}`+"`") {
		return errors.New("it has a query, a fragment or a character that paths percent-encode")
	}
	return nil
}

// isSourceHost reports whether s is a plain host[:port] of CSP's host-part: names
// of letters, digits and inner hyphens. It also decides whether a request's
// Host may be named in a header.
func isSourceHost(s string) bool {
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		if _, err := parsePort(s[i+1:]); err != nil {
			return false
		}
		s = s[:i]
	}
	if len(s) > 253 { // RFC 1035 §2.3.4
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; c == '_' || !isNameByte(c) {
				return false
			}
		}
	}
	return true
}

// isURLHost also accepts underscores, which URLs have and the grammar of CSP lacks
// (https://github.com/w3c/webappsec-csp/issues/592).
func isURLHost(s string) bool { return isSourceHost(strings.ReplaceAll(s, "_", "x")) }

func isNotASCII(r rune) bool { return r >= 0x80 }

// asciiSources writes internationalized hosts in ASCII, as browsers send and compare them. A
// source that cannot be converted stays, and is refused.
func asciiSources(list []string) []string {
	if !slices.ContainsFunc(list, func(s string) bool { return strings.ContainsFunc(s, isNotASCII) }) {
		return list
	}
	list = slices.Clone(list)
	for i, s := range list {
		if ascii, err := asciiSource(s); err == nil {
			list[i] = ascii
		}
	}
	return list
}

func asciiSource(s string) (string, error) {
	start := 0
	if i := strings.Index(s, "://"); i >= 0 {
		start = i + len("://")
	}
	start += len(s[start:]) - len(strings.TrimPrefix(s[start:], "*."))
	end := len(s)
	if i := strings.IndexAny(s[start:], "/:"); i >= 0 {
		end = start + i
	}
	if strings.ContainsFunc(s[:start]+s[end:], isNotASCII) {
		return "", errors.New("it holds a character outside ASCII: percent-encode that")
	}
	if err := checkPrintable(s); err != nil {
		return "", err
	}
	host, err := toASCII(s[start:end])
	return s[:start] + host + s[end:], err
}
