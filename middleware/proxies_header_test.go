package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// The headers of platforms, as their documentation has them. Each is read from a trusted peer
// only, and in place of the X-Forwarded- header.
func TestPlatformHeaders(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		sentence string
		cfg      middleware.ProxiesConfig
		header   http.Header
		client   string
		secure   bool
	}{
		{"Cloudflare", middleware.ProxiesConfig{AddressHeader: "CF-Connecting-IP", SchemeHeader: "CF-Visitor"}, http.Header{"Cf-Connecting-Ip": {"203.0.113.9"}, "Cf-Visitor": {`{"scheme":"https"}`}}, "203.0.113.9", true},
		{"Cloudflare, IPv6", middleware.ProxiesConfig{AddressHeader: "cf-connecting-ip"}, http.Header{"Cf-Connecting-Ip": {"2001:db8::9"}}, "2001:db8::9", false},
		{"Cloudflare says http", middleware.ProxiesConfig{SchemeHeader: "Cf-Visitor"}, http.Header{"Cf-Visitor": {`{"scheme":"http"}`}}, "10.0.0.1", false},
		{"CloudFront", middleware.ProxiesConfig{SchemeHeader: "CloudFront-Forwarded-Proto"}, http.Header{"Cloudfront-Forwarded-Proto": {"https"}, "X-Forwarded-For": {"203.0.113.9"}}, "203.0.113.9", true},
		{"Fly.io", middleware.ProxiesConfig{AddressHeader: "Fly-Client-IP"}, http.Header{"Fly-Client-Ip": {"203.0.113.9"}, "X-Forwarded-Proto": {"https"}}, "203.0.113.9", true},
		{"Akamai", middleware.ProxiesConfig{AddressHeader: "True-Client-IP"}, http.Header{"True-Client-Ip": {"203.0.113.9"}}, "203.0.113.9", false},
		{"a load balancer that says on", middleware.ProxiesConfig{SchemeHeader: "X-Forwarded-Ssl"}, http.Header{"X-Forwarded-Ssl": {"on"}}, "10.0.0.1", true},
		{"a load balancer that says off", middleware.ProxiesConfig{SchemeHeader: "X-Forwarded-Ssl"}, http.Header{"X-Forwarded-Ssl": {"off"}}, "10.0.0.1", false},
		{"Exchange says on", middleware.ProxiesConfig{SchemeHeader: "Front-End-Https"}, http.Header{"Front-End-Https": {"On"}}, "10.0.0.1", true},
		{"X-Forwarded-Scheme", middleware.ProxiesConfig{SchemeHeader: "X-Forwarded-Scheme"}, http.Header{"X-Forwarded-Scheme": {"https"}}, "10.0.0.1", true},
		{"the standard names are the default", middleware.ProxiesConfig{AddressHeader: "x-forwarded-for", SchemeHeader: "X-Forwarded-Proto"}, http.Header{"X-Forwarded-For": {"127.0.0.1, 203.0.113.9"}, "X-Forwarded-Proto": {"https"}}, "203.0.113.9", true},

		{"attack: X-Forwarded-For beside the platform's header", middleware.ProxiesConfig{AddressHeader: "Fly-Client-IP"}, http.Header{"Fly-Client-Ip": {"203.0.113.9"}, "X-Forwarded-For": {"127.0.0.1"}}, "203.0.113.9", false},
		{"attack: X-Forwarded-For without the platform's header", middleware.ProxiesConfig{AddressHeader: "Fly-Client-IP"}, http.Header{"X-Forwarded-For": {"127.0.0.1"}}, "10.0.0.1", false},
		{"attack: X-Forwarded-Proto beside the platform's header", middleware.ProxiesConfig{SchemeHeader: "CF-Visitor"}, http.Header{"Cf-Visitor": {`{"scheme":"http"}`}, "X-Forwarded-Proto": {"https"}}, "10.0.0.1", false},
		{"attack: X-Forwarded-Proto without the platform's header", middleware.ProxiesConfig{SchemeHeader: "CF-Visitor"}, http.Header{"X-Forwarded-Proto": {"https"}}, "10.0.0.1", false},
		{"attack: the platform's header twice", middleware.ProxiesConfig{AddressHeader: "CF-Connecting-IP", SchemeHeader: "CF-Visitor"}, http.Header{"Cf-Connecting-Ip": {"127.0.0.1", "203.0.113.9"}, "Cf-Visitor": {`{"scheme":"https"}`, `{"scheme":"http"}`}}, "10.0.0.1", false},
		{"attack: a list in the platform's header", middleware.ProxiesConfig{AddressHeader: "True-Client-IP"}, http.Header{"True-Client-Ip": {"127.0.0.1, 203.0.113.9"}}, "10.0.0.1", false},
		{"attack: the platform's header of a client, where no setting names it", middleware.ProxiesConfig{}, http.Header{"Cf-Connecting-Ip": {"127.0.0.1"}, "Cf-Visitor": {`{"scheme":"https"}`}, "X-Forwarded-Ssl": {"on"}, "X-Forwarded-For": {"203.0.113.9"}}, "203.0.113.9", false},
		{"on does not say https where a scheme is expected", middleware.ProxiesConfig{SchemeHeader: "CloudFront-Forwarded-Proto"}, http.Header{"Cloudfront-Forwarded-Proto": {"on"}}, "10.0.0.1", false},
		{"https does not say on", middleware.ProxiesConfig{SchemeHeader: "X-Forwarded-Ssl"}, http.Header{"X-Forwarded-Ssl": {"https"}}, "10.0.0.1", false},
		{"JSON with another member", middleware.ProxiesConfig{SchemeHeader: "CF-Visitor"}, http.Header{"Cf-Visitor": {`{"scheme":"http","scheme":"https"}`}}, "10.0.0.1", false},
		{"JSON that is not whole", middleware.ProxiesConfig{SchemeHeader: "CF-Visitor"}, http.Header{"Cf-Visitor": {`{"scheme":"https"`}}, "10.0.0.1", false},
		{"a scheme in place of JSON", middleware.ProxiesConfig{SchemeHeader: "CF-Visitor"}, http.Header{"Cf-Visitor": {"https"}}, "10.0.0.1", false},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			row.cfg.Trusted = trustedProxies
			p := proxies(t, row.cfg)
			r := httptest.NewRequest("GET", "/", nil)
			r.Header, r.RemoteAddr = row.header, viaProxy
			if got := addrText(p.ClientIP(r)); got != row.client || p.Secure(r) != row.secure {
				t.Errorf("client %s, secure %v", got, p.Secure(r))
			}
			r.RemoteAddr = "198.51.100.1:1"
			if got := addrText(p.ClientIP(r)); got != "198.51.100.1" || p.Secure(r) {
				t.Errorf("from a stranger: client %s, secure %v", got, p.Secure(r))
			}
		})
	}
}

// The Host that the client sent, behind a proxy that changes it.
func TestProxiesHost(t *testing.T) {
	t.Parallel()
	named := middleware.ProxiesConfig{Trusted: trustedProxies, HostHeader: "X-Forwarded-Host"}
	plain := middleware.ProxiesConfig{Trusted: trustedProxies}
	rfc7239 := middleware.ProxiesConfig{Trusted: trustedProxies, Forwarded: true}
	for _, row := range []struct {
		sentence  string
		cfg       middleware.ProxiesConfig
		remote    string
		forwarded []string // X-Forwarded-Host
		rfc7239   string   // Forwarded
		host      string
	}{
		{"the header of a trusted proxy", named, viaProxy, []string{"app.example"}, "", "app.example"},
		{"with a port", named, viaProxy, []string{"app.example:8443"}, "", "app.example:8443"},
		{"no header: the proxy kept the Host", named, viaProxy, nil, "", "upstream:8080"},
		{"an empty header", named, viaProxy, []string{""}, "", "upstream:8080"},
		{"two proxies that agree", named, viaProxy, []string{"app.example, app.example"}, "", "app.example"},
		{"two that do not agree", named, viaProxy, []string{"evil.example, app.example"}, "", ""},
		{"two lines that do not agree", named, viaProxy, []string{"evil.example", "app.example"}, "", ""},
		{"attack: the header of a client, past the proxies", named, "203.0.113.9:1", []string{"app.example"}, "", "upstream:8080"},
		{"attack: the header of a client, through a proxy that does not write it", plain, viaProxy, []string{"app.example"}, "host=app.example", "upstream:8080"},
		{"Forwarded: the element of the client", rfc7239, viaProxy, []string{"evil.example"}, "for=203.0.113.9;host=app.example, for=10.0.0.2;host=inner", "app.example"},
		{"Forwarded: quoted, with a port", rfc7239, viaProxy, nil, `for=203.0.113.9;host="app.example:8443"`, "app.example:8443"},
		{"Forwarded without a host", rfc7239, viaProxy, nil, "for=203.0.113.9", "upstream:8080"},
		{"attack: an element of the client's own", rfc7239, viaProxy, nil, "for=127.0.0.1;host=evil.example, for=203.0.113.9", "upstream:8080"},
		{"attack: an open quote of the client's", rfc7239, viaProxy, nil, `host=evil.example;x=", for=203.0.113.9;host=app.example`, "upstream:8080"},
		{"attack: Forwarded of a client, past the proxies", rfc7239, "203.0.113.9:1", nil, "for=127.0.0.1;host=app.example", "upstream:8080"},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			p := proxies(t, row.cfg)
			r := requestVia(row.remote, "X-Forwarded-Host", row.forwarded...)
			r.Host = "upstream:8080"
			if row.rfc7239 != "" {
				r.Header.Set("Forwarded", row.rfc7239)
			}
			if got := p.Host(r); got != row.host {
				t.Errorf("Host %q, want %q", got, row.host)
			}
			hosts := hostPolicy(t, "app.example", "app.example:8443").Behind(p)
			if allowed := strings.HasPrefix(row.host, "app.example"); (hosts.Check(r) == nil) != allowed {
				t.Errorf("HostPolicy: %v", hosts.Check(r))
			}
		})
	}
	r := requestVia(viaProxy, "X-Forwarded-Host", "app.example")
	for _, none := range []*middleware.Proxies{nil, {}} {
		if got := none.Host(r); got != "example.com" {
			t.Errorf("no proxy is trusted: %q", got)
		}
	}
	if (*middleware.HostPolicy)(nil).Behind(proxies(t, named)).Check(r) == nil || (*middleware.OriginPolicy)(nil).Behind(proxies(t, named)).Check(handshakeFrom("https://app.example")) == nil {
		t.Error("a nil policy behind proxies admits")
	}
}

func TestProxiesHeadersThatAreErrors(t *testing.T) {
	t.Parallel()
	cfg := func(edit func(*middleware.ProxiesConfig)) middleware.ProxiesConfig {
		c := middleware.ProxiesConfig{Trusted: trustedProxies}
		edit(&c)
		return c
	}
	for _, row := range []struct {
		cfg  middleware.ProxiesConfig
		hint string
	}{
		{cfg(func(c *middleware.ProxiesConfig) { c.AddressHeader = "a b" }), "AddressHeader: \"a b\": it is not a header name"},
		{cfg(func(c *middleware.ProxiesConfig) { c.SchemeHeader = "X-Ssl:" }), "SchemeHeader: \"X-Ssl:\": it is not a header name"},
		{cfg(func(c *middleware.ProxiesConfig) { c.HostHeader = "forwarded" }), "HostHeader: \"Forwarded\": its grammar is its own: set ProxiesConfig.Forwarded"},
		{cfg(func(c *middleware.ProxiesConfig) { c.HostHeader = "Host" }), "HostHeader: \"Host\": it does not say that"},
		{cfg(func(c *middleware.ProxiesConfig) { c.AddressHeader = "X-Forwarded-Proto" }), "AddressHeader: \"X-Forwarded-Proto\": it does not say that"},
		{cfg(func(c *middleware.ProxiesConfig) { c.SchemeHeader = "X-Forwarded-For" }), "SchemeHeader: \"X-Forwarded-For\": it does not say that"},
		{cfg(func(c *middleware.ProxiesConfig) { c.AddressHeader = "X-Forwarded-Host" }), "AddressHeader: \"X-Forwarded-Host\": it does not say that"},
		{cfg(func(c *middleware.ProxiesConfig) { c.HostHeader = "origin" }), "HostHeader: \"Origin\": it does not say that"}, // the page would choose the host: DNS rebinding
		{cfg(func(c *middleware.ProxiesConfig) { c.HostHeader = "Referer" }), "HostHeader: \"Referer\": it does not say that"},
		{cfg(func(c *middleware.ProxiesConfig) { c.AddressHeader = "Cookie" }), "AddressHeader: \"Cookie\": it does not say that"},
		{cfg(func(c *middleware.ProxiesConfig) { c.AddressHeader, c.HostHeader = "X-Client", "x-client" }), "HostHeader: \"X-Client\": ProxiesConfig.AddressHeader names it, too"},
		{cfg(func(c *middleware.ProxiesConfig) { c.AddressHeader, c.SchemeHeader = "X-Client", "X-Client" }), "SchemeHeader: \"X-Client\": ProxiesConfig.AddressHeader names it, too"},
		{cfg(func(c *middleware.ProxiesConfig) { c.Forwarded, c.AddressHeader = true, "Fly-Client-IP" }), "AddressHeader: \"Fly-Client-Ip\": the Forwarded header says that already"},
		{cfg(func(c *middleware.ProxiesConfig) { c.Forwarded, c.HostHeader = true, "X-Forwarded-Host" }), "HostHeader: \"X-Forwarded-Host\": the Forwarded header says that already"},
	} {
		if p, err := middleware.NewProxies(row.cfg); p != nil || err == nil || !strings.Contains(err.Error(), "middleware: ProxiesConfig."+row.hint) {
			t.Errorf("%v, want %s", err, row.hint)
		}
	}
	_, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"x", "y"}, AddressHeader: "a b", SchemeHeader: "a b", HostHeader: "a b"})
	if n := len(strings.Split(err.Error(), "\n")); n != 5 {
		t.Errorf("%d errors, want 5:\n%v", n, err)
	}
}
