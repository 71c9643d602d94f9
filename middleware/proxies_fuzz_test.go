package middleware_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// FuzzForwardedFor: an attacker's text in front of the entry of the trusted proxy
// does not change the client, which stays the one the proxy saw.
func FuzzForwardedFor(f *testing.F) {
	for _, row := range forwardedForTable {
		f.Add(strings.Join(row.lines, ","))
	}
	p := proxies(f, middleware.ProxiesConfig{Trusted: trustedProxies})
	f.Fuzz(func(t *testing.T, forged string) {
		for _, r := range []*http.Request{
			requestVia(viaProxy, "X-Forwarded-For", forged+", 203.0.113.9"),
			requestVia(viaProxy, "X-Forwarded-For", forged, "203.0.113.9"),
			requestVia(viaProxy, "X-Forwarded-For", forged, "203.0.113.9, 10.0.0.2"),
			requestVia("203.0.113.9:1", "X-Forwarded-For", forged),
		} {
			if got := addrText(p.ClientIP(r)); got != "203.0.113.9" {
				t.Fatalf("%q makes the client %s", forged, got)
			}
		}
		p.ClientIP(requestVia(viaProxy, "X-Forwarded-For", forged))
	})
}

// FuzzForwarded: with an attacker's text in front of the element of the trusted proxy,
// the client is the one the proxy saw or, if the line can no longer be
// read, the proxy; and never one that spoke TLS when the proxy says it did not.
func FuzzForwarded(f *testing.F) {
	for _, row := range forwardedTable {
		f.Add(strings.Join(row.lines, ","))
	}
	p := proxies(f, middleware.ProxiesConfig{Trusted: trustedProxies, Forwarded: true})
	seen, proxy := netip.MustParseAddr("2001:db8::9"), netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, forged string) {
		for _, r := range []*http.Request{
			requestVia(viaProxy, "Forwarded", forged+`, for="[2001:db8::9]";proto=http`),
			requestVia(viaProxy, "Forwarded", forged+`, proto=http;for="[2001:db8::9]:80"`),
		} {
			if got := p.ClientIP(r); got != seen && got != proxy || p.Secure(r) {
				t.Fatalf("%q makes the client %s, secure %v", forged, got, p.Secure(r))
			}
		}
		r := requestVia(viaProxy, "Forwarded", forged, `for="[2001:db8::9]";proto=http`)
		if got := p.ClientIP(r); got != seen || p.Secure(r) {
			t.Fatalf("%q in a line of its own makes the client %s", forged, got)
		}
		p.ClientIP(requestVia(viaProxy, "Forwarded", forged))
	})
}
