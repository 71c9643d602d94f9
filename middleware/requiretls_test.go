package middleware_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

var pageBehindTLS = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("reached")) })

// ASVS 4.4.1, 4.1.2: refused, and not redirected.
func TestRequireTLS(t *testing.T) {
	trusting := proxies(t, middleware.ProxiesConfig{Trusted: trustedProxies})
	for _, row := range []struct {
		sentence string
		p        *middleware.Proxies
		proto    string
		tls      bool
		status   int
	}{
		{sentence: "TLS to this server", tls: true, status: 200},
		{sentence: "plaintext", status: 403},
		{sentence: "plaintext, the header of nobody we trust", proto: "https", status: 403},
		{sentence: "a trusted proxy says https", p: trusting, proto: "https", status: 200},
		{sentence: "a trusted proxy says http", p: trusting, proto: "http", status: 403},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = viaProxy
			r.Header.Set("Accept", "text/html")
			if row.proto != "" {
				r.Header.Set("X-Forwarded-Proto", row.proto)
			}
			if row.tls {
				r.TLS = &tls.ConnectionState{}
			}
			w := httptest.NewRecorder()
			middleware.RequireTLS(row.p)(pageBehindTLS).ServeHTTP(w, r)
			if w.Code != row.status || w.Header().Get("Location") != "" || (w.Body.String() == "reached") != (row.status == 200) {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
			if row.status == 403 && !strings.Contains(w.Body.String(), `"tls_required"`) {
				t.Errorf("the reason is missing: %s", w.Body)
			}
		})
	}
}

func TestRedirectTLS(t *testing.T) {
	h := middleware.RedirectTLS(nil, hostPolicy(t, "app.example", "*.wild.example"))(pageBehindTLS)
	const page = "text/html,application/xhtml+xml"
	for _, row := range []struct {
		sentence, method, host, target, accept string
		status                                 int
		location                               string
	}{
		{
			sentence: "a document goes to https", method: "GET",
			host: "app.example", target: "/a?b=c", accept: page, status: 308, location: "https://app.example/a?b=c",
		},
		{
			sentence: "a HEAD too", method: "HEAD", host: "app.example",
			target: "/", accept: page, status: 308, location: "https://app.example/",
		},
		{
			sentence: "a subdomain under the wildcard", method: "GET",
			host: "a.wild.example", target: "/", accept: page, status: 308, location: "https://a.wild.example/",
		},
		{
			sentence: "escapes stay", method: "GET", host: "app.example",
			target: "/a%2fb%20c", accept: page, status: 308, location: "https://app.example/a%2fb%20c",
		},
		{
			sentence: "two slashes stay a path", method: "GET",
			host: "app.example", target: "//evil.com/x", accept: page, status: 308, location: "https://app.example//evil.com/x",
		},
		{
			sentence: "a backslash stays a path", method: "GET",
			host: "app.example", target: "/%5cevil.com", accept: page, status: 308, location: "https://app.example/%5cevil.com",
		},
		{sentence: "open redirect: another Host", method: "GET", host: "evil.com", target: "/", accept: page, status: 421},
		{
			sentence: "open redirect: a Host with userinfo", method: "GET",
			host: "app.example@evil.com", target: "/", accept: page, status: 421,
		},
		{
			sentence: "open redirect: a Host with a path", method: "GET",
			host: "evil.com/app.example", target: "/", accept: page, status: 421,
		},
		{
			sentence: "an API client is refused, ASVS 4.1.2", method: "GET",
			host: "app.example", target: "/api", accept: "application/json", status: 403,
		},
		{sentence: "anything but HTML is refused", method: "GET", host: "app.example", target: "/", accept: "*/*", status: 403},
		{sentence: "no Accept is refused", method: "GET", host: "app.example", target: "/", status: 403},
		{
			sentence: "a form is refused: it has already been sent",
			method:   "POST", host: "app.example", target: "/", accept: page, status: 403,
		},
		{sentence: "OPTIONS is refused", method: "OPTIONS", host: "app.example", target: "/", accept: page, status: 403},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			r := httptest.NewRequest(row.method, row.target, nil)
			r.Host = row.host
			if row.accept != "" {
				r.Header.Set("Accept", row.accept)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != row.status || w.Header().Get("Location") != row.location {
				t.Errorf("answered %d to %q, want %d to %q", w.Code, w.Header().Get("Location"), row.status, row.location)
			}
		})
	}

	ws := handshakeFrom("https://app.example")
	ws.TLS, ws.Header["Accept"] = nil, []string{page}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, ws)
	if w.Code != 403 || !strings.Contains(w.Body.String(), `"tls_required"`) {
		t.Errorf("a handshake is answered %d %s", w.Code, w.Body)
	}

	ws.TLS = &tls.ConnectionState{}
	w = httptest.NewRecorder()
	h.ServeHTTP(w, ws)
	if w.Body.String() != "reached" {
		t.Errorf("over TLS: %d %s", w.Code, w.Body)
	}
}

func TestRedirectTLSWithoutHostsRedirectsNobody(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept", "text/html")
	w := httptest.NewRecorder()
	middleware.RedirectTLS(nil, nil)(pageBehindTLS).ServeHTTP(w, r)
	if w.Code != 421 || w.Header().Get("Location") != "" {
		t.Errorf("answered %d to %q", w.Code, w.Header().Get("Location"))
	}
}

// The attack on oneself: behind a proxy that ends TLS and does not say so, a redirect to https
// leads back to the same redirect (RFC 9110 §15.4: clients detect loops, and give up).
func TestRedirectTLSNeverLeadsBack(t *testing.T) {
	t.Parallel()
	trusting := proxies(t, middleware.ProxiesConfig{Trusted: trustedProxies})
	for _, row := range []struct {
		sentence string
		p        *middleware.Proxies
		remote   string
		header   http.Header
		status   int
		cause    string
	}{
		{sentence: "a client without TLS and without a proxy", remote: "203.0.113.9:1", status: 308},
		{sentence: "a client without TLS, past the proxies", p: trusting, remote: "203.0.113.9:1", status: 308},
		{
			sentence: "a trusted proxy says http", p: trusting,
			remote: viaProxy, header: http.Header{"X-Forwarded-Proto": {"http"}}, status: 308,
		},
		{
			sentence: "a trusted proxy says nothing", p: trusting,
			remote: viaProxy, status: 403, cause: "sends no X-Forwarded-Proto: let the proxy set it",
		},
		{
			sentence: "a trusted proxy forwards and does not say the scheme", p: trusting, remote: viaProxy,
			header: http.Header{"X-Forwarded-For": {"203.0.113.9"}}, status: 403, cause: "sends no X-Forwarded-Proto",
		},
		{
			sentence: "a trusted proxy says two things", p: trusting, remote: viaProxy,
			header: http.Header{"X-Forwarded-Proto": {"https, http"}},
			status: 403, cause: "a proxy that does not say http shows that the client may be on https already",
		},
		{
			sentence: "a trusted proxy says nothing that is known",
			p:        trusting, remote: viaProxy, header: http.Header{"X-Forwarded-Proto": {""}}, status: 403, cause: "cannot be read",
		},
		{
			sentence: "a trusted proxy says http of the proxy before it, and the browser is on https", p: trusting, remote: viaProxy,
			header: http.Header{"X-Forwarded-Proto": {"http"}, "Sec-Fetch-Site": {"none"}},
			status: 403, cause: "Sec-Fetch-Site, which browsers send on https, shows",
		},
		{
			sentence: "a proxy that is not named says https", remote: "172.18.0.5:1", header: http.Header{"X-Forwarded-Proto": {"https"}},
			status: 403, cause: "X-Forwarded-Proto shows that the client may be on https already, so a redirect would lead back here",
		},
		{
			sentence: "a proxy that is not named says who the client is", remote: "172.18.0.5:1",
			header: http.Header{"X-Forwarded-For": {"203.0.113.9"}}, status: 403, cause: "name it in ProxiesConfig.Trusted",
		},
		{
			sentence: "a proxy that is not named says nothing, and the browser is on https", remote: "172.18.0.5:1",
			header: http.Header{"Sec-Fetch-Site": {"none"}}, status: 403, cause: "Sec-Fetch-Site, which browsers send on https, shows",
		},
		{
			sentence: "a proxy outside of the trusted ones", p: trusting,
			remote: "172.18.0.5:1", header: http.Header{"Via": {"1.1 proxy"}}, status: 403, cause: `add "172.18.0.5"`,
		},
		{sentence: "RealIP of chi has hidden the peer", p: trusting, remote: "203.0.113.9", status: 403, cause: "overwritten"},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			to, err := middleware.RedirectTLSTo(row.p, "https://app.example")
			if err != nil {
				t.Fatal(err)
			}
			for _, layer := range []middleware.Middleware{middleware.RedirectTLS(row.p, hostPolicy(t, "app.example")), to} {
				r := httptest.NewRequest("GET", "/a?b", nil)
				r.Host, r.RemoteAddr = "app.example", row.remote
				for name, lines := range row.header {
					r.Header[name] = lines
				}
				r.Header.Set("Accept", "text/html")
				lines := logged(t, pageBehindTLS, r, layer)
				if got := lines[0]["status"]; got != float64(row.status) {
					t.Errorf("answered %v, want %d", got, row.status)
				}
				if cause, _ := lines[0]["cause"].(string); !strings.Contains(cause, row.cause) {
					t.Errorf("%q, want %q", cause, row.cause)
				}
			}
		})
	}
}

// The hosts are those on https: the redirect takes the port from them.
func TestRedirectTLSTakesThePortFromItsHosts(t *testing.T) {
	t.Parallel()
	behind := proxies(t, middleware.ProxiesConfig{Trusted: trustedProxies, HostHeader: "X-Forwarded-Host"})
	for _, row := range []struct {
		sentence string
		hosts    []string
		host     string
		location string
	}{
		{"the plain port is left out", []string{"app.example"}, "app.example:8080", "https://app.example/"},
		{"the port on https", []string{"app.example:8443"}, "app.example:8080", "https://app.example:8443/"},
		{"the port on https, without a plain one", []string{"app.example:8443"}, "app.example", "https://app.example:8443/"},
		{"443 before other ports", []string{"app.example:8443", "app.example"}, "app.example", "https://app.example/"},
		{"the port of that name", []string{"www.example", "app.example:8443"}, "app.example:80", "https://app.example:8443/"},
		{"the port of a wildcard", []string{"*.app.example:8443"}, "a.app.example:8080", "https://a.app.example:8443/"},
		{"an address", []string{"[2001:db8::1]:8443"}, "[2001:db8:0::1]:80", "https://[2001:db8::1]:8443/"},
		{"a name that is not listed", []string{"app.example:8443"}, "evil.example:8080", ""},
		{"a Host that cannot be read", []string{"app.example"}, "app.example:80:80", ""},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			for _, forwarded := range []bool{false, true} {
				r := httptest.NewRequest("GET", "/", nil)
				r.Host = row.host
				if forwarded {
					r = requestVia(viaProxy, "X-Forwarded-Host", row.host)
					r.Header.Set("X-Forwarded-Proto", "http")
				}
				r.Header.Set("Accept", "text/html")
				w := httptest.NewRecorder()
				middleware.RedirectTLS(behind, hostPolicy(t, row.hosts...))(pageBehindTLS).ServeHTTP(w, r)
				if got := w.Header().Get("Location"); got != row.location || got == "" && w.Code != 421 {
					t.Errorf("answered %d to %q, want %q", w.Code, got, row.location)
				}
			}
		})
	}
}

func TestRedirectTLSToOneOrigin(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]string{
		"https://app.example:8443": "https://app.example:8443/a%2fb?c",
		"https://App.example:443":  "https://app.example/a%2fb?c",
		"https://[2001:db8::1]":    "https://[2001:db8::1]/a%2fb?c",
	} {
		layer, err := middleware.RedirectTLSTo(nil, origin)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/a%2fb?c", nil)
		r.Host = "evil.example"
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		layer(pageBehindTLS).ServeHTTP(w, r)
		if got := w.Header().Get("Location"); w.Code != 308 || got != want {
			t.Errorf("answered %d to %q, want %q", w.Code, got, want)
		}
	}
	for origin, hint := range map[string]string{
		"": "it is empty", "app.example": "the scheme is missing",
		"http://localhost": "it is not on https", "http://app.example": "without TLS",
		"app://x": "it is not on https", "https://*.app.example": "it is a pattern", "https://app.example/x": "neither path",
	} {
		if layer, err := middleware.RedirectTLSTo(nil, origin); layer != nil || err == nil ||
			!strings.HasPrefix(err.Error(), "middleware: RedirectTLSTo: ") || !strings.Contains(err.Error(), hint) {
			t.Errorf("%q: %v, want %s", origin, err, hint)
		}
	}
}
