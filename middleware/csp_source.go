package middleware

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// cspDirective is a source list, and the sources it may hold beside 'none', 'self' and
// exact https hosts.
type cspDirective struct {
	field     string // of CSP
	name      string
	list      []string
	keywords  []string
	schemes   []string
	hashes    bool
	websocket bool // wss:// hosts
	wildcards bool // https://*.app.example
	scripts   bool // the hosts may run scripts in the page
	inline    bool // no hosts at all
	localHTTP bool // http:// and ws:// hosts of this machine
}

// check reports every fault of the list.
func (d *cspDirective) check() []error {
	var errs []error
	for i, s := range d.list {
		err := d.checkSource(s)
		switch {
		case err == nil && slices.Contains(d.list[:i], s):
			err = errors.New("it is given twice")
		case s == "'none'" && len(d.list) > 1:
			err = errors.New("it stands alone: remove it or the others")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %q: %w", d.field, s, err))
		}
	}
	return errs
}

// checkSource follows the serialized-source grammar (CSP3 §2.3.1), without the sources that
// would weaken the policy.
func (d *cspDirective) checkSource(s string) error {
	switch {
	case s == "":
		return errors.New("it is empty: leave it out")
	case strings.ContainsFunc(s, isNotASCII):
		_, err := asciiSource(s)
		return err
	case strings.ContainsFunc(s, endsSource):
		return errors.New("it holds a space, a separator or a control character: percent-encode that")
	case strings.HasPrefix(s, "'"):
		return d.checkKeyword(s)
	case isKeywordName(s):
		return fmt.Errorf("it is a keyword: write '%s' with its single quotes", s)
	case strings.Contains(s, "'"), strings.Contains(s, `"`):
		return errors.New("it has a stray quote: keywords stand in single quotes")
	case s == "*":
		return errors.New("it is every host: name the hosts, or https: if the list accepts that")
	case strings.HasSuffix(s, ":"):
		return d.checkScheme(s)
	}
	return d.checkHost(s)
}

// endsSource reports whether r would end a source, a directive or the header.
func endsSource(r rune) bool {
	return r <= ' ' || r >= 0x7f || r == ';' || r == ','
}

func isKeywordName(s string) bool {
	switch s = strings.ToLower(s); s {
	case "none", "self", "strict-dynamic", "report-sample", "unsafe-inline", "unsafe-eval", "wasm-unsafe-eval", "unsafe-hashes":
		return true
	}
	for _, prefix := range []string{"nonce-", "sha256-", "sha384-", "sha512-"} {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

func (d *cspDirective) checkKeyword(s string) error {
	inner, closed := strings.CutSuffix(s[1:], "'")
	algorithm, digest, _ := strings.Cut(inner, "-")
	switch {
	case !closed:
		return errors.New("the closing quote is missing")
	case s == "'none'", s == "'self'" && !d.inline, slices.Contains(d.keywords, s):
		return nil
	case s == "'self'":
		return errors.New("an attribute has no origin: write 'none' or hashes")
	case s == "'unsafe-inline'" && (d.name == "style-src" || d.name == "style-src-elem"):
		return errors.New("it has a field of its own: set DangerouslyInlineStyle")
	case s == "'unsafe-inline'" && d.name == "style-src-attr":
		return errors.New("it has a field of its own: set DangerouslyInlineStyleAttr")
	case s == "'unsafe-inline'" && d.name == "script-src-attr":
		return errors.New("it has a field of its own: set DangerouslyInlineHandlers")
	case s == "'unsafe-hashes'" && d.inline:
		return errors.New("it has a field of its own: set DangerouslyHashedAttr")
	case s == "'unsafe-eval'" && d.name == "script-src":
		return errors.New("it has a field of its own: set DangerouslyEval")
	case s == "'unsafe-inline'", s == "'unsafe-hashes'":
		return errors.New("it cannot be allowed: use Nonce or hashes")
	case strings.HasPrefix(s, "'nonce-"):
		return errors.New("it would be the same for every answer: set Nonce")
	case d.hashes && digestSize(algorithm) > 0:
		if raw, err := base64.StdEncoding.Strict().DecodeString(digest); err != nil || len(raw) != digestSize(algorithm) {
			return fmt.Errorf("it is not a hash: write %d bytes in padded base64", digestSize(algorithm))
		}
		return nil
	}
	return errors.New("it is not a keyword of this list")
}

func digestSize(algorithm string) int {
	switch algorithm {
	case "sha256":
		return 32
	case "sha384":
		return 48
	case "sha512":
		return 64
	}
	return 0
}

// isTrustedTypeName follows tt-policy-name (Trusted Types §4.1), but for "*".
func isTrustedTypeName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-#=_/@.%", r)
	})
}

// isReportURL reports whether s fits a directive and a quoted string of
// Reporting-Endpoints, unescaped, and is not plaintext.
func isReportURL(s string) bool {
	if strings.ContainsFunc(s, endsSource) || strings.ContainsAny(s, `"\'#`) {
		return false
	}
	u, err := url.Parse(s)
	if err != nil || u.User != nil {
		return false
	}
	if u.Scheme == "https" {
		return isURLHost(u.Host)
	}
	return u.Scheme == "" && u.Host == "" && strings.HasPrefix(s, "/")
}
