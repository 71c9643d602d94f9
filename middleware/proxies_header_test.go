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
		{
			sentence: "Cloudflare", cfg: middleware.ProxiesConfig{AddressHeader: "CF-Connecting-IP", SchemeHeader: "CF-Visitor"},
			header: http.Header{"Cf-Connecting-Ip": {"203.0.113.9"}, "Cf-Visitor": {`{"scheme":"https"}`}},
			client: "203.0.113.9", secure: true,
		},
		{
			sentence: "Cloudflare, IPv6", cfg: middleware.ProxiesConfig{AddressHeader: "cf-connecting-ip"},
			header: http.Header{"Cf-Connecting-Ip": {"2001:db8::9"}}, client: "2001:db8::9",
		},
		{
			sentence: "Cloudflare says http", cfg: middleware.ProxiesConfig{SchemeHeader: "Cf-Visitor"},
			header: http.Header{"Cf-Visitor": {`{"scheme":"http"}`}}, client: "10.0.0.1",
		},
		{
			sentence: "CloudFront", cfg: middleware.ProxiesConfig{SchemeHeader: "CloudFront-Forwarded-Proto"},
			header: http.Header{"Cloudfront-Forwarded-Proto": {"https"}, "X-Forwarded-For": {"203.0.113.9"}},
			client: "203.0.113.9", secure: true,
		},
		{
			sentence: "Fly.io", cfg: middleware.ProxiesConfig{AddressHeader: "Fly-Client-IP"},
			header: http.Header{"Fly-Client-Ip": {"203.0.113.9"}, "X-Forwarded-Proto": {"https"}}, client: "203.0.113.9", secure: true,
		},
		{
			sentence: "Akamai", cfg: middleware.ProxiesConfig{AddressHeader: "True-Client-IP"},
			header: http.Header{"True-Client-Ip": {"203.0.113.9"}}, client: "203.0.113.9",
		},
		{
			sentence: "a load balancer that says on", cfg: middleware.ProxiesConfig{SchemeHeader: "X-Forwarded-Ssl"},
			header: http.Header{"X-Forwarded-Ssl": {"on"}}, client: "10.0.0.1", secure: true,
		},
		{
			sentence: "a load balancer that says off", cfg: middleware.ProxiesConfig{SchemeHeader: "X-Forwarded-Ssl"},
			header: http.Header{"X-Forwarded-Ssl": {"off"}}, client: "10.0.0.1",
		},
		{
			sentence: "Exchange says on", cfg: middleware.ProxiesConfig{SchemeHeader: "Front-End-Https"},
			header: http.Header{"Front-End-Https": {"On"}}, client: "10.0.0.1", secure: true,
		},
		{
			sentence: "X-Forwarded-Scheme", cfg: middleware.ProxiesConfig{SchemeHeader: "X-Forwarded-Scheme"},
			header: http.Header{"X-Forwarded-Scheme": {"https"}}, client: "10.0.0.1", secure: true,
		},
		{
			sentence: "the standard names are the default",
			cfg:      middleware.ProxiesConfig{AddressHeader: "x-forwarded-for", SchemeHeader: "X-Forwarded-Proto"},
			header:   http.Header{"X-Forwarded-For": {"127.0.0.1, 203.0.113.9"}, "X-Forwarded-Proto": {"https"}},
			client:   "203.0.113.9", secure: true,
		},

		{
			sentence: "attack: X-Forwarded-For beside the platform's header", cfg: middleware.ProxiesConfig{AddressHeader: "Fly-Client-IP"},
			header: http.Header{"Fly-Client-Ip": {"203.0.113.9"}, "X-Forwarded-For": {"127.0.0.1"}}, client: "203.0.113.9",
		},
		{
			sentence: "attack: X-Forwarded-For without the platform's header",
			cfg:      middleware.ProxiesConfig{AddressHeader: "Fly-Client-IP"},
			header:   http.Header{"X-Forwarded-For": {"127.0.0.1"}}, client: "10.0.0.1",
		},
		{
			sentence: "attack: X-Forwarded-Proto beside the platform's header", cfg: middleware.ProxiesConfig{SchemeHeader: "CF-Visitor"},
			header: http.Header{"Cf-Visitor": {`{"scheme":"http"}`}, "X-Forwarded-Proto": {"https"}}, client: "10.0.0.1",
		},
		{
			sentence: "attack: X-Forwarded-Proto without the platform's header", cfg: middleware.ProxiesConfig{SchemeHeader: "CF-Visitor"},
			header: http.Header{"X-Forwarded-Proto": {"https"}}, client: "10.0.0.1",
		},
		{
			sentence: "attack: the platform's header twice",
			cfg:      middleware.ProxiesConfig{AddressHeader: "CF-Connecting-IP", SchemeHeader: "CF-Visitor"},
			header: http.Header{
				"Cf-Connecting-Ip": {"127.0.0.1", "203.0.113.9"},
				"Cf-Visitor":       {`{"scheme":"https"}`, `{"scheme":"http"}`},
			}, client: "10.0.0.1",
		},
		{
			sentence: "attack: a list in the platform's header", cfg: middleware.ProxiesConfig{AddressHeader: "True-Client-IP"},
			header: http.Header{"True-Client-Ip": {"127.0.0.1, 203.0.113.9"}}, client: "10.0.0.1",
		},
		{
			sentence: "attack: the platform's header of a client, where no setting names it", cfg: middleware.ProxiesConfig{},
			header: http.Header{
				"Cf-Connecting-Ip": {"127.0.0.1"}, "Cf-Visitor": {`{"scheme":"https"}`},
				"X-Forwarded-Ssl": {"on"}, "X-Forwarded-For": {"203.0.113.9"},
			}, client: "203.0.113.9",
		},
		{
			sentence: "on does not say https where a scheme is expected",
			cfg:      middleware.ProxiesConfig{SchemeHeader: "CloudFront-Forwarded-Proto"},
			header:   http.Header{"Cloudfront-Forwarded-Proto": {"on"}}, client: "10.0.0.1",
		},
		{
			sentence: "https does not say on", cfg: middleware.ProxiesConfig{SchemeHeader: "X-Forwarded-Ssl"},
			header: http.Header{"X-Forwarded-Ssl": {"https"}}, client: "10.0.0.1",
		},
		{
			sentence: "JSON with another member", cfg: middleware.ProxiesConfig{SchemeHeader: "CF-Visitor"},
			header: http.Header{"Cf-Visitor": {`{"scheme":"http","scheme":"https"}`}}, client: "10.0.0.1",
		},
		{
			sentence: "JSON that is not whole", cfg: middleware.ProxiesConfig{SchemeHeader: "CF-Visitor"},
			header: http.Header{"Cf-Visitor": {`{"scheme":"https"`}}, client: "10.0.0.1",
		},
		{
			sentence: "a scheme in place of JSON", cfg: middleware.ProxiesConfig{SchemeHeader: "CF-Visitor"},
			header: http.Header{"Cf-Visitor": {"https"}}, client: "10.0.0.1",
		},
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
		{sentence: "the header of a trusted proxy", cfg: named, remote: viaProxy, forwarded: []string{"app.example"}, host: "app.example"},
		{sentence: "with a port", cfg: named, remote: viaProxy, forwarded: []string{"app.example:8443"}, host: "app.example:8443"},
		{sentence: "no header: the proxy kept the Host", cfg: named, remote: viaProxy, host: "upstream:8080"},
		{sentence: "an empty header", cfg: named, remote: viaProxy, forwarded: []string{""}, host: "upstream:8080"},
		{
			sentence: "two proxies that agree", cfg: named, remote: viaProxy,
			forwarded: []string{"app.example, app.example"}, host: "app.example",
		},
		{sentence: "two that do not agree", cfg: named, remote: viaProxy, forwarded: []string{"evil.example, app.example"}},
		{sentence: "two lines that do not agree", cfg: named, remote: viaProxy, forwarded: []string{"evil.example", "app.example"}},
		{
			sentence: "attack: the header of a client, past the proxies",
			cfg:      named, remote: "203.0.113.9:1", forwarded: []string{"app.example"}, host: "upstream:8080",
		},
		{
			sentence: "attack: the header of a client, through a proxy that does not write it",
			cfg:      plain, remote: viaProxy, forwarded: []string{"app.example"}, rfc7239: "host=app.example", host: "upstream:8080",
		},
		{
			sentence: "Forwarded: the element of the client", cfg: rfc7239, remote: viaProxy, forwarded: []string{"evil.example"},
			rfc7239: "for=203.0.113.9;host=app.example, for=10.0.0.2;host=inner", host: "app.example",
		},
		{
			sentence: "Forwarded: quoted, with a port", cfg: rfc7239,
			remote: viaProxy, rfc7239: `for=203.0.113.9;host="app.example:8443"`, host: "app.example:8443",
		},
		{sentence: "Forwarded without a host", cfg: rfc7239, remote: viaProxy, rfc7239: "for=203.0.113.9", host: "upstream:8080"},
		{
			sentence: "attack: an element of the client's own",
			cfg:      rfc7239, remote: viaProxy, rfc7239: "for=127.0.0.1;host=evil.example, for=203.0.113.9", host: "upstream:8080",
		},
		{
			sentence: "attack: an open quote of the client's", cfg: rfc7239,
			remote: viaProxy, rfc7239: `host=evil.example;x=", for=203.0.113.9;host=app.example`, host: "upstream:8080",
		},
		{
			sentence: "attack: Forwarded of a client, past the proxies",
			cfg:      rfc7239, remote: "203.0.113.9:1", rfc7239: "for=127.0.0.1;host=app.example", host: "upstream:8080",
		},
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
	if (*middleware.HostPolicy)(nil).Behind(proxies(t, named)).Check(r) == nil ||
		(*middleware.OriginPolicy)(nil).Behind(proxies(t, named)).Check(handshakeFrom("https://app.example")) == nil {
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
		{
			cfg(func(c *middleware.ProxiesConfig) { c.HostHeader = "forwarded" }),
			"HostHeader: \"Forwarded\": it has a grammar of its own: set ProxiesConfig.Forwarded",
		},
		{cfg(func(c *middleware.ProxiesConfig) { c.HostHeader = "Host" }), "HostHeader: \"Host\": it is for another purpose"},
		{
			cfg(func(c *middleware.ProxiesConfig) { c.AddressHeader = "X-Forwarded-Proto" }),
			"AddressHeader: \"X-Forwarded-Proto\": it is for another purpose",
		},
		{
			cfg(func(c *middleware.ProxiesConfig) { c.SchemeHeader = "X-Forwarded-For" }),
			"SchemeHeader: \"X-Forwarded-For\": it is for another purpose",
		},
		{
			cfg(func(c *middleware.ProxiesConfig) { c.AddressHeader = "X-Forwarded-Host" }),
			"AddressHeader: \"X-Forwarded-Host\": it is for another purpose",
		},
		// the page would choose the host: DNS rebinding
		{cfg(func(c *middleware.ProxiesConfig) { c.HostHeader = "origin" }), "HostHeader: \"Origin\": it is for another purpose"},
		{cfg(func(c *middleware.ProxiesConfig) { c.HostHeader = "Referer" }), "HostHeader: \"Referer\": it is for another purpose"},
		{cfg(func(c *middleware.ProxiesConfig) { c.AddressHeader = "Cookie" }), "AddressHeader: \"Cookie\": it is for another purpose"},
		{
			cfg(func(c *middleware.ProxiesConfig) { c.AddressHeader, c.HostHeader = "X-Client", "x-client" }),
			"HostHeader: \"X-Client\": ProxiesConfig.AddressHeader names it, too",
		},
		{
			cfg(func(c *middleware.ProxiesConfig) { c.AddressHeader, c.SchemeHeader = "X-Client", "X-Client" }),
			"SchemeHeader: \"X-Client\": ProxiesConfig.AddressHeader names it, too",
		},
		{
			cfg(func(c *middleware.ProxiesConfig) { c.Forwarded, c.AddressHeader = true, "Fly-Client-IP" }),
			"AddressHeader: \"Fly-Client-Ip\": ProxiesConfig.Forwarded reads that",
		},
		{
			cfg(func(c *middleware.ProxiesConfig) { c.Forwarded, c.HostHeader = true, "X-Forwarded-Host" }),
			"HostHeader: \"X-Forwarded-Host\": ProxiesConfig.Forwarded reads that",
		},
	} {
		if p, err := middleware.NewProxies(row.cfg); p != nil || err == nil ||
			!strings.Contains(err.Error(), "middleware: ProxiesConfig."+row.hint) {
			t.Errorf("%v, want %s", err, row.hint)
		}
	}
	_, err := middleware.NewProxies(middleware.ProxiesConfig{
		Trusted:       []string{"x", "y"},
		AddressHeader: "a b", SchemeHeader: "a b", HostHeader: "a b",
	})
	if n := len(strings.Split(err.Error(), "\n")); n != 5 {
		t.Errorf("%d errors, want 5:\n%v", n, err)
	}
}
