package middleware_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/securews/securews/middleware"
)

func withFetchSite(r *http.Request, lines ...string) *http.Request {
	r.Header["Sec-Fetch-Site"] = lines
	return r
}

// Fetch Metadata §2.3, HTML §7.1.1. All Origins here are on the list; the second lock decides.
func TestFetchSiteOfAListedOrigin(t *testing.T) {
	p := originPolicy(t, middleware.OriginConfig{DangerouslyAllowLocalHTTP: true, Allow: []string{
		"https://app.example", "https://app.example:8443", "https://api.app.example",
		"https://partner.test", "https://web-123.cloud.run", "https://web.co.site",
		"https://192.0.2.1", "https://192.0.9.1", "https://[2001:db8::1]", "https://localhost:3000", "http://localhost:3000",
		"chrome-extension://abcdefghijklmnopabcdefghijklmnop",
	}})
	for _, row := range []struct{ sentence, origin, host, site, reason string }{
		{sentence: "same-origin: Origin is the server's own", origin: "https://app.example", host: "app.example", site: "same-origin"},
		{
			sentence: "same-origin: a proxy has left out the port",
			origin:   "https://app.example:8443", host: "app.example", site: "same-origin",
		},
		{
			sentence: "same-origin: a proxy has put its upstream's address for the Host",
			origin:   "https://app.example", host: "127.0.0.1:8015", site: "same-origin",
		},
		{
			sentence: "same-origin: a proxy has put its upstream's name for the Host",
			origin:   "https://app.example", host: "app_backend", site: "same-origin",
		},
		{
			sentence: "same-origin: a proxy has put another site's name for the Host",
			origin:   "https://app.example", host: "app.internal.test", site: "same-origin",
		},
		{sentence: "same-origin: a local page without TLS", origin: "http://localhost:3000", host: "localhost:3000", site: "same-origin"},
		{
			sentence: "same-origin: a Host that cannot be compared is not compared",
			origin:   "https://app.example", host: "app.example.", site: "same-origin",
		},

		{sentence: "same-site: a sibling", origin: "https://api.app.example", host: "app.example", site: "same-site"},
		{sentence: "same-site: the parent", origin: "https://app.example", host: "api.app.example", site: "same-site"},
		{
			sentence: "same-site: another port, which a proxy has left out",
			origin:   "https://app.example", host: "app.example", site: "same-site",
		},
		{
			sentence: "same-site: a proxy has put its upstream's address for the Host",
			origin:   "https://app.example", host: "127.0.0.1:8015", site: "same-site",
		},
		{
			sentence: "same-site: a suffix younger than the browser's list",
			origin:   "https://web.co.site", host: "api.co.site", site: "same-site",
		},

		{sentence: "cross-site: another site", origin: "https://partner.test", host: "app.example", site: "cross-site"},
		{
			sentence: "cross-site: a suffix younger than this binary's list",
			origin:   "https://web-123.cloud.run", host: "api-456.cloud.run", site: "cross-site",
		},
		{sentence: "cross-site: two addresses", origin: "https://192.0.2.1", host: "192.0.9.1", site: "cross-site"},
		{
			sentence: "cross-site: a proxy has put its upstream's address for the Host",
			origin:   "https://partner.test", host: "127.0.0.1:8015", site: "cross-site",
		},
		{
			sentence: "cross-site: an extension", origin: "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
			host: "app.example", site: "cross-site",
		},
		{
			sentence: "cross-site: a local page without TLS to a local server on TLS",
			origin:   "http://localhost:3000", host: "localhost:8443", site: "cross-site",
		},
		{
			sentence: "cross-site: a local page on TLS to a local server without it",
			origin:   "https://localhost:3000", host: "localhost:8080", site: "cross-site",
		},
		{
			sentence: "attack: a proxy rewrites Origin and Host, and the page is a stranger's",
			origin:   "https://app.example", host: "app.example", site: "cross-site", reason: "fetch_metadata",
		},
		{
			sentence: "attack: the same with the default port in Host",
			origin:   "https://app.example", host: "APP.example:443", site: "cross-site", reason: "fetch_metadata",
		},
		{
			sentence: "attack: the same at another port, which is the same site",
			origin:   "https://app.example:8443", host: "app.example", site: "cross-site", reason: "fetch_metadata",
		},
		{
			sentence: "attack: the same by address", origin: "https://[2001:db8::1]",
			host: "[2001:db8:0::1]", site: "cross-site", reason: "fetch_metadata",
		},
		{
			sentence: "a Host that is none, cross-site", origin: "https://partner.test",
			host: "app.example@", site: "cross-site", reason: "fetch_metadata",
		},

		{
			sentence: "none: the user's own doing opens no socket",
			origin:   "https://app.example", host: "app.example", site: "none", reason: "fetch_metadata",
		},
		{
			sentence: "none: an extension that may read the host",
			origin:   "chrome-extension://abcdefghijklmnopabcdefghijklmnop", host: "app.example", site: "none",
		},
		{sentence: "an empty value", origin: "https://app.example", host: "app.example", reason: "fetch_metadata"},
		{sentence: "an unknown value", origin: "https://app.example", host: "app.example", site: "same-planet", reason: "fetch_metadata"},
		{
			sentence: "capitals: the value is a token, RFC 8941 §3.3.4",
			origin:   "https://app.example", host: "app.example", site: "Same-Origin", reason: "fetch_metadata",
		},
		{
			sentence: "a list in one line", origin: "https://app.example",
			host: "app.example", site: "same-origin, same-origin", reason: "fetch_metadata",
		},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			r := withFetchSite(handshakeFrom(row.origin), row.site)
			r.Host, r.TLS = row.host, nil
			guardAnswer(t, p.Check(r), 403, row.reason)
			r = withFetchSite(httptest.NewRequest("POST", "/", nil), row.site)
			r.Host = row.host
			r.Header.Set("Origin", row.origin)
			guardAnswer(t, p.Check(r), 403, row.reason)
		})
	}
	for _, lines := range [][]string{{"same-origin", "same-origin"}, {"same-origin", "cross-site"}, {"", ""}} {
		guardAnswer(t, p.Check(withFetchSite(handshakeFrom("https://app.example"), lines...)), 403, "fetch_metadata")
	}
}

// A local page on TLS has the same site as a local server on TLS.
func TestFetchSiteOfALocalPageToALocalServerOnTLS(t *testing.T) {
	p := originPolicy(t, middleware.OriginConfig{Allow: []string{"https://localhost:3000"}})
	r := withFetchSite(handshakeFrom("https://localhost:3000"), "cross-site")
	r.Host, r.TLS = "localhost:8443", &tls.ConnectionState{}
	guardAnswer(t, p.Check(r), 403, "fetch_metadata")
}

// The host that a trusted proxy names takes the place of the Host that it has rewritten.
func TestFetchSiteBehindAProxyThatRewritesHost(t *testing.T) {
	behind := proxies(t, middleware.ProxiesConfig{Trusted: trustedProxies, HostHeader: "X-Forwarded-Host"})
	p := originPolicy(t, middleware.OriginConfig{Allow: []string{"https://app.example"}}).Behind(behind)
	for _, row := range []struct{ sentence, remote, forwarded, reason string }{
		{"the socket is at another site", viaProxy, "sockets.test", ""},
		{"the socket is at the page's own host", viaProxy, "app.example", "fetch_metadata"},
		{"attack: a peer that is not trusted names another host", "203.0.113.9:1", "sockets.test", "fetch_metadata"},
	} {
		r := withFetchSite(handshakeFrom("https://app.example"), "cross-site")
		r.RemoteAddr = row.remote
		r.Header.Set("X-Forwarded-Host", row.forwarded)
		t.Run(row.sentence, func(t *testing.T) { guardAnswer(t, p.Check(r), 403, row.reason) })
	}
}

// The Origin is judged first: what Sec-Fetch-Site says opens nothing.
func TestFetchSiteDoesNotReplaceTheList(t *testing.T) {
	p := originPolicy(t, middleware.OriginConfig{Allow: []string{"https://app.example"}})
	for _, site := range []string{"same-origin", "same-site", "none"} {
		guardAnswer(t, p.Check(withFetchSite(handshakeFrom(), site)), 403, "origin_missing")
		guardAnswer(t, p.Check(withFetchSite(handshakeFrom("null"), site)), 403, "origin_not_allowed")
		guardAnswer(t, p.Check(withFetchSite(handshakeFrom("https://evil.example"), site)), 403, "origin_not_allowed")
	}
}

// Attack: a page whose Origin was stripped on the way (an old proxy, a browser bug)
// passes for a native client.
func TestMissingOriginWhereNativeClientsAreAllowed(t *testing.T) {
	p := originPolicy(t, middleware.OriginConfig{Allow: []string{"https://app.example"}, AllowMissing: true})
	for _, row := range []struct {
		sentence string
		site     []string
		reason   string
	}{
		{"a native client", nil, ""},
		{"none", []string{"none"}, ""},
		{"same-origin", []string{"same-origin"}, ""},
		{"same-site is a browser without Origin", []string{"same-site"}, "fetch_metadata"},
		{"cross-site is a browser without Origin", []string{"cross-site"}, "fetch_metadata"},
		{"an empty value", []string{""}, "fetch_metadata"},
		{"an unknown value", []string{"x"}, "fetch_metadata"},
		{"two lines", []string{"none", "none"}, "fetch_metadata"},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			r := handshakeFrom()
			if row.site != nil {
				withFetchSite(r, row.site...)
			}
			guardAnswer(t, p.Check(r), 403, row.reason)
		})
	}
	guardAnswer(t, p.Check(handshakeFrom("")), 403, "origin_malformed")
	guardAnswer(t, p.Check(handshakeFrom("null")), 403, "origin_not_allowed")
}
