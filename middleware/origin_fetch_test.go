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

// Fetch Metadata §2.3. All Origins here are on the list; the second lock decides.
func TestFetchSiteMustAgreeWithOrigin(t *testing.T) {
	p := originPolicy(t, middleware.OriginConfig{DangerouslyAllowLocalHTTP: true, Allow: []string{
		"https://app.example", "https://app.example:8443", "https://api.app.example", "https://partner.test", "https://a.github.io", "https://b.github.io",
		"https://192.0.2.1", "https://192.0.2.1:8443", "https://192.0.9.1", "https://[2001:db8::1]", "https://localhost", "http://localhost:3000", "https://github.io", "https://[::ffff:192.0.2.1]",
	}})
	for _, row := range []struct{ sentence, origin, host, site, reason string }{
		{"same-origin: Origin is the server's own", "https://app.example", "app.example", "same-origin", ""},
		{"same-origin: the default port in Host", "https://app.example", "app.example:443", "same-origin", ""},
		{"same-origin: the default port in Origin", "https://app.example:443", "app.example", "same-origin", ""},
		{"same-origin: Host in capitals", "https://app.example", "APP.example", "same-origin", ""},
		{"same-origin: with a port", "https://app.example:8443", "app.example:8443", "same-origin", ""},
		{"same-origin: an IPv6 address", "https://[2001:db8::1]", "[2001:db8:0::1]", "same-origin", ""},
		{"same-origin: a local page without TLS", "http://localhost:3000", "localhost:3000", "same-origin", ""},
		{"same-origin is a lie at another port", "https://app.example:8443", "app.example", "same-origin", "fetch_metadata"},
		{"same-origin is a lie for a sibling", "https://api.app.example", "app.example", "same-origin", "fetch_metadata"},
		{"same-origin is a lie for another site", "https://partner.test", "app.example", "same-origin", "fetch_metadata"},

		{"same-site: a sibling", "https://api.app.example", "app.example", "same-site", ""},
		{"same-site: the parent", "https://app.example", "api.app.example", "same-site", ""},
		{"same-site: another port of the same host", "https://app.example:8443", "app.example", "same-site", ""},
		{"same-site: another port of an address", "https://192.0.2.1:8443", "192.0.2.1", "same-site", ""},
		{"same-site: another port of localhost, in the clear", "http://localhost:3000", "localhost:8080", "same-site", ""},
		{"same-site is a lie for the same origin", "https://app.example", "app.example", "same-site", "fetch_metadata"},
		{"same-site is a lie for another site", "https://partner.test", "app.example", "same-site", "fetch_metadata"},
		{"same-site is a lie under a public suffix", "https://a.github.io", "b.github.io", "same-site", "fetch_metadata"},
		{"same-site is a lie for two addresses with the same end", "https://192.0.2.1", "192.0.9.1", "same-site", "fetch_metadata"},
		{"same-site is a lie for two IPv6 addresses with the same end", "https://[::ffff:192.0.2.1]", "[::ffff:198.51.2.1]", "same-site", "fetch_metadata"},
		{"same-site is a lie for an address and a name", "https://192.0.2.1", "app.example", "same-site", "fetch_metadata"},
		{"same-site is a lie for localhost and a name", "https://localhost", "app.example", "same-site", "fetch_metadata"},
		{"same-site is a lie for a public suffix and a name under it", "https://github.io", "a.github.io", "same-site", "fetch_metadata"},

		{"cross-site: another site", "https://partner.test", "app.example", "cross-site", ""},
		{"cross-site: two names under a public suffix", "https://a.github.io", "b.github.io", "cross-site", ""},
		{"cross-site: two addresses", "https://192.0.2.1", "192.0.9.1", "cross-site", ""},
		{"cross-site: a public suffix and a name under it", "https://github.io", "a.github.io", "cross-site", ""},
		{"cross-site is a lie for the same origin", "https://app.example", "app.example", "cross-site", "fetch_metadata"},
		{"cross-site is a lie for another port", "https://app.example:8443", "app.example", "cross-site", "fetch_metadata"},
		{"cross-site is a lie for a sibling", "https://api.app.example", "app.example", "cross-site", "fetch_metadata"},

		{"none: the user's own doing opens no socket", "https://app.example", "app.example", "none", "fetch_metadata"},
		{"an empty value", "https://app.example", "app.example", "", "fetch_metadata"},
		{"an unknown value", "https://app.example", "app.example", "same-planet", "fetch_metadata"},
		{"capitals: the value is a token, RFC 8941 §3.3.4", "https://app.example", "app.example", "Same-Origin", "fetch_metadata"},
		{"a list in one line", "https://app.example", "app.example", "same-origin, same-origin", "fetch_metadata"},
		{"a Host with a trailing dot is another one", "https://app.example", "app.example.", "same-origin", "fetch_metadata"},
		{"no Host", "https://app.example", "", "same-origin", "fetch_metadata"},
		{"a Host that is none, cross-site", "https://partner.test", "app.example@", "cross-site", "fetch_metadata"},
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

// Schemeful same-site (HTML §7.1.1): a page in the clear is another site to a server
// on TLS.
func TestFetchSiteOfALocalPageInTheClearToAServerOnTLS(t *testing.T) {
	p := originPolicy(t, middleware.OriginConfig{Allow: []string{"http://localhost:3000"}, DangerouslyAllowLocalHTTP: true})
	for site, reason := range map[string]string{"cross-site": "", "same-site": "fetch_metadata", "same-origin": "fetch_metadata"} {
		r := withFetchSite(handshakeFrom("http://localhost:3000"), site)
		r.Host, r.TLS = "localhost:3000", &tls.ConnectionState{}
		guardAnswer(t, p.Check(r), 403, reason)
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
