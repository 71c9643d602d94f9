package middleware

import (
	"net/http"
	"net/netip"
	"strings"
)

// client describes the client of a request, and the peer that the description comes from.
type client struct {
	addr   netip.Addr // invalid if it is not known
	host   string     // that it asked for
	secure bool       // it used TLS
	scheme clientScheme
	peer   peer
}

func (p *Proxies) find(r *http.Request) client {
	if x, ok := r.Context().Value(proxiedKey{}).(*proxied); ok && x.by == p {
		return x.client
	}
	from := peerOf(r)
	switch from.kind {
	case peerTCP:
		from.trusted = p.trusts(from.addr)
	case peerUnix:
		from.trusted = p != nil && p.unix
	}
	c := client{addr: from.addr, host: r.Host, secure: r.TLS != nil, peer: from}
	switch {
	case !from.trusted:
		return c
	case p.forwarded:
		return p.walkForwarded(r.Header["Forwarded"], c)
	}
	if p.address == forwardedFor {
		c.addr = p.walkForwardedFor(r.Header[forwardedFor], c.addr)
	} else if lines := r.Header[p.address]; len(lines) == 1 {
		if a, ok := parseForwardedFor(strings.Trim(lines[0], " \t")); ok {
			c.addr = a
		}
	}
	if lines := r.Header[p.scheme]; len(lines) > 0 {
		c.scheme = p.readScheme(lines)
		c.secure = c.scheme == schemeHTTPS
	}
	if p.host != "" {
		c.host = oneHost(r.Header[p.host], c.host)
	}
	return c
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

var (
	// schemeHeaders are those by which proxies and platforms say that a client used TLS.
	schemeHeaders = []string{
		forwardedProto, "Forwarded", "X-Forwarded-Ssl", "X-Forwarded-Scheme", "Front-End-Https", "Cloudfront-Forwarded-Proto", "Cf-Visitor",
	}

	// forwardingHeaders are those that a proxy in front adds. Every client can add them.
	forwardingHeaders = append([]string{forwardedFor, "Via", forwardedHost, "X-Real-Ip"}, schemeHeaders...)
)

// firstOf returns the first of the names that the header has, other than the one that is
// read; "" if it has none.
func firstOf(names []string, h http.Header, read string) string {
	for _, name := range names {
		if name != read && len(h[name]) > 0 {
			return name
		}
	}
	return ""
}

// forwardedBy returns a header of the request that a proxy may have added; "" if it has none.
func forwardedBy(r *http.Request) string { return firstOf(forwardingHeaders, r.Header, "") }
