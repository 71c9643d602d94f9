package middleware

import (
	"net/http"
	"net/netip"
	"strings"
)

// hop describes the client: its address, invalid if it is not known, the host that it asked
// for, and whether it used TLS.
type hop struct {
	client netip.Addr
	host   string
	secure bool
	peer   peer
	told   bool // a trusted proxy said whether the client used TLS
}

func (p *Proxies) find(r *http.Request) hop {
	if x, ok := r.Context().Value(proxiedKey{}).(*proxied); ok && x.by == p {
		return x.hop
	}
	from := peerOf(r)
	switch from.kind {
	case peerTCP:
		from.trusted = p.trusts(from.addr)
	case peerUnix:
		from.trusted = p != nil && p.unix
	}
	h := hop{client: from.addr, host: r.Host, secure: r.TLS != nil, peer: from}
	switch {
	case !from.trusted:
		return h
	case p.forwarded:
		return p.walkForwarded(r.Header["Forwarded"], h)
	}
	if p.address == forwardedFor {
		h.client = p.walkForwardedFor(r.Header[forwardedFor], h.client)
	} else if lines := r.Header[p.address]; len(lines) == 1 {
		if a, ok := parseForwardedFor(strings.Trim(lines[0], " \t")); ok {
			h.client = a
		}
	}
	if lines := r.Header[p.scheme]; len(lines) > 0 {
		h.secure, h.told = allValues(lines, p.isSecure), true
	}
	if p.host != "" {
		h.host = oneHost(r.Header[p.host], h.host)
	}
	return h
}

// oneHost returns the value that all of the lines have, "" if they differ, and host if there
// is none. Which of several is the client's is not known.
func oneHost(lines []string, host string) string {
	found := ""
	for _, line := range lines {
		for value := range strings.SplitSeq(line, ",") {
			value = strings.Trim(value, " \t")
			switch {
			case value == "" || strings.EqualFold(value, found):
			case found != "":
				return ""
			default:
				found = value
			}
		}
	}
	if found == "" {
		return host
	}
	return found
}

// allValues demands all of several values: which of them is the client's is not known.
func allValues(lines []string, is func(string) bool) bool {
	for _, line := range lines {
		if line != "" && line[0] == '{' { // JSON, whose commas separate no values
			if !is(line) {
				return false
			}
			continue
		}
		for value := range strings.SplitSeq(line, ",") {
			if !is(strings.Trim(value, " \t")) {
				return false
			}
		}
	}
	return len(lines) > 0
}

// schemeForm returns the test for the values by which a header says https.
func schemeForm(name string) func(string) bool {
	switch name {
	case "X-Forwarded-Ssl", "Front-End-Https":
		return func(s string) bool { return strings.EqualFold(s, "on") }
	case "Cf-Visitor":
		return isSecureVisitor
	}
	return isSecureScheme
}

func isSecureScheme(s string) bool {
	return strings.EqualFold(s, "https") || strings.EqualFold(s, "wss")
}

// isSecureVisitor reads {"scheme":"https"}, as Cloudflare writes it.
func isSecureVisitor(s string) bool {
	s, ok := strings.CutPrefix(s, "{")
	s, end := strings.CutSuffix(s, "}")
	name, value, _ := strings.Cut(s, ":")
	return ok && end && strings.Trim(name, " \t") == `"scheme"` && strings.Trim(value, " \t") == `"https"`
}
