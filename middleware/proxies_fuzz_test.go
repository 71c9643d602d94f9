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

// FuzzScheme: with an attacker's text in a line or a list before the proxy's own word, the
// client never counts as one on TLS if the proxy says that it is not; and a header that is not
// read has no effect.
func FuzzScheme(f *testing.F) {
	for _, s := range []string{"https", "https, https", "on", `{"scheme":"https"}`, `{"scheme":"https"},`, "", ",", "wss"} {
		f.Add(s)
	}
	headers := map[string]string{"X-Forwarded-Proto": "http", "X-Forwarded-Ssl": "off", "Cf-Visitor": `{"scheme":"http"}`}
	f.Fuzz(func(t *testing.T, forged string) {
		for name, word := range headers {
			p := proxies(t, middleware.ProxiesConfig{Trusted: trustedProxies, SchemeHeader: name})
			for _, r := range []*http.Request{
				requestVia(viaProxy, name, forged, word),
				requestVia(viaProxy, name, forged+", "+word),
				requestVia("203.0.113.9:1", name, forged),
			} {
				if p.Secure(r) {
					t.Fatalf("%s: %q counts as TLS", name, r.Header[name])
				}
			}
			for other := range headers {
				if r := requestVia(viaProxy, other, forged); other != name && p.Secure(r) {
					t.Fatalf("%s, which is not read, counts: %q", other, forged)
				}
			}
		}
	})
}

// FuzzForwardedHost: an attacker's text in front of the proxy's own word names no host, alone
// or beside it.
func FuzzForwardedHost(f *testing.F) {
	for _, s := range []string{"evil.example", "host=evil.example", `for=127.0.0.1;host=evil.example;x="`, ",", `"`, "app.example"} {
		f.Add(s)
	}
	named := proxies(f, middleware.ProxiesConfig{Trusted: trustedProxies, HostHeader: "X-Forwarded-Host"})
	rfc7239 := proxies(f, middleware.ProxiesConfig{Trusted: trustedProxies, Forwarded: true})
	f.Fuzz(func(t *testing.T, forged string) {
		r := requestVia(viaProxy, "X-Forwarded-Host", forged, "app.example")
		r.Host = "upstream"
		if got := named.Host(r); got != "" && !strings.EqualFold(got, "app.example") {
			t.Fatalf("X-Forwarded-Host %q names %q", forged, got)
		}
		r = requestVia(viaProxy, "Forwarded", forged+`, for="[2001:db8::9]";host=app.example`)
		r.Host = "upstream"
		if got := rfc7239.Host(r); got != "upstream" && got != "app.example" {
			t.Fatalf("Forwarded %q names %q", forged, got)
		}
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
