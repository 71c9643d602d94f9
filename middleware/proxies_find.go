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
	said   saidScheme
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
		h.said = p.readScheme(lines)
		h.secure = h.said == saidSecure
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

// forwardingHeaders are those that a proxy in front adds. Every client can add them.
var forwardingHeaders = [...]string{
	forwardedProto, forwardedFor, "Forwarded", "Via", forwardedHost, "X-Real-Ip", "X-Forwarded-Ssl", "X-Forwarded-Scheme",
	"Front-End-Https", "Cloudfront-Forwarded-Proto", "Cf-Visitor",
}

// forwardedBy returns the first of them that the request has; "" if it has none.
func forwardedBy(r *http.Request) string {
	for _, name := range forwardingHeaders {
		if len(r.Header[name]) > 0 {
			return name
		}
	}
	return ""
}
