package middleware_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// ASVS 16.3.2: the cause names the peer, whether it is trusted, the header that is missing or
// says otherwise, and the setting.
func TestCheckTLSCause(t *testing.T) {
	t.Parallel()
	type cfg = middleware.ProxiesConfig
	trusting := cfg{Trusted: trustedProxies}
	const missing = "let the proxy set it (nginx: proxy_set_header X-Forwarded-Proto $scheme), or name its own " +
		"header in ProxiesConfig.SchemeHeader"
	for _, row := range []struct {
		sentence string
		cfg      *cfg
		remote   string
		header   http.Header
		cause    string
	}{
		{
			sentence: "no proxy is named", remote: "172.18.0.5:4711",
			cause: "172.18.0.5 is the peer, and no proxy is named: if it is a proxy that ends TLS, name it in ProxiesConfig.Trusted",
		},
		{
			sentence: "no proxy is named, and one is there", remote: "172.18.0.5:4711", header: http.Header{"X-Forwarded-Proto": {"https"}},
			cause: `172.18.0.5 is the peer, and no proxy is named, so its X-Forwarded-Proto does not count: "https": if it is`,
		},
		{
			sentence: "the peer is not trusted", cfg: &trusting, remote: "172.18.0.5:4711",
			cause: `172.18.0.5 is the peer, and ProxiesConfig.Trusted does not name it: if it is a proxy that ends TLS, add ` +
				`"172.18.0.5", or the prefix of your proxies`,
		},
		{
			sentence: "the peer is not trusted and says https", cfg: &trusting, remote: "[2001:db8::7]:1",
			header: http.Header{"X-Forwarded-Proto": {"https"}},
			cause: `2001:db8::7 is the peer, and ProxiesConfig.Trusted does not name it, so its X-Forwarded-Proto does not count: ` +
				`"https": if it is a proxy that ends TLS, add "2001:db8::7"`,
		},
		{
			sentence: "the peer is not trusted and says Forwarded", cfg: &trusting, remote: "172.18.0.5:4711",
			header: http.Header{"Forwarded": {"proto=https"}}, cause: "does not name it, so its Forwarded does not count: if it is",
		},
		{
			sentence: "the peer is trusted and says nothing", cfg: &trusting, remote: viaProxy,
			cause: "10.0.0.1 is the peer, which ProxiesConfig.Trusted names, and sends no X-Forwarded-Proto: " + missing,
		},
		{
			sentence: "the peer is trusted and says it in another header", cfg: &trusting, remote: viaProxy,
			header: http.Header{"X-Forwarded-Ssl": {"on"}},
			cause: "sends no X-Forwarded-Proto: it sends X-Forwarded-Ssl; if that is the proxy's own word, " +
				"name it in ProxiesConfig.SchemeHeader",
		},
		{
			sentence: "the peer is trusted and says it in Forwarded", cfg: &trusting, remote: viaProxy,
			header: http.Header{"Forwarded": {"for=203.0.113.9;proto=https"}},
			cause:  "sends no X-Forwarded-Proto: it sends Forwarded; if that is the proxy's own word, set ProxiesConfig.Forwarded",
		},
		{
			sentence: "the peer is trusted and says http", cfg: &trusting, remote: viaProxy,
			header: http.Header{"X-Forwarded-Proto": {"http"}},
			cause:  `10.0.0.1 is the peer, which ProxiesConfig.Trusted names, and its X-Forwarded-Proto says so: "http"`,
		},
		{
			sentence: "the peer is trusted and says two things", cfg: &trusting, remote: viaProxy,
			header: http.Header{"X-Forwarded-Proto": {"https, http"}},
			cause:  `its X-Forwarded-Proto cannot be read, or has values that differ: "https, http"`,
		},
		{
			sentence: "the values are quoted and cut", cfg: &trusting, remote: viaProxy,
			header: http.Header{"X-Forwarded-Proto": {"a\n" + strings.Repeat("b", 5000)}},
			cause:  `has values that differ: "a\n` + strings.Repeat("b", 157),
		},
		{
			sentence: "a platform's header is missing", cfg: &cfg{Trusted: trustedProxies, SchemeHeader: "CF-Visitor"}, remote: viaProxy,
			header: http.Header{"X-Forwarded-Proto": {"https"}}, cause: "sends no Cf-Visitor: it sends X-Forwarded-Proto; if",
		},
		{
			sentence: "Forwarded is missing", cfg: &cfg{Trusted: trustedProxies, Forwarded: true}, remote: viaProxy,
			header: http.Header{"X-Forwarded-Proto": {"https"}},
			cause:  "sends no Forwarded: let the proxy set it, or remove ProxiesConfig.Forwarded if it sets X-Forwarded-Proto",
		},
		{
			sentence: "Forwarded has no proto", cfg: &cfg{Trusted: trustedProxies, Forwarded: true}, remote: viaProxy,
			header: http.Header{"Forwarded": {"for=203.0.113.9"}}, cause: "its Forwarded has no proto: let the proxy set it",
		},
		{
			sentence: "Forwarded says http", cfg: &cfg{Trusted: trustedProxies, Forwarded: true}, remote: viaProxy,
			header: http.Header{"Forwarded": {"for=203.0.113.9;proto=http"}}, cause: `its Forwarded says so: "for=203.0.113.9;proto=http"`,
		},
		{
			sentence: "Forwarded cannot be read", cfg: &cfg{Trusted: trustedProxies, Forwarded: true}, remote: viaProxy,
			header: http.Header{"Forwarded": {`for=203.0.113.9;proto="https`}}, cause: "its Forwarded cannot be read, or",
		},
		{
			sentence: "another layer has written RemoteAddr", cfg: &trusting, remote: "10.0.0.1",
			header: http.Header{"X-Forwarded-Proto": {"https"}},
			cause: `RemoteAddr "10.0.0.1" has no port, so a layer in front has overwritten it, and the peer is not known: mount ` +
				`Proxies.Handler in place of that layer, or outside it`,
		},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			var p *middleware.Proxies
			if row.cfg != nil {
				p = proxies(t, *row.cfg)
			}
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = row.remote
			if row.header != nil {
				r.Header = row.header
			}
			err := p.CheckTLS(r)
			guardAnswer(t, err, 403, "tls_required")
			var f *middleware.Refusal
			if !errors.As(err, &f) || !strings.Contains(f.Err.Error(), row.cause) ||
				!strings.HasPrefix(f.Err.Error(), "middleware: Proxies: ") || len(f.Err.Error()) > 600 {
				t.Errorf("%v, want %s", f.Err, row.cause)
			}
			r.TLS = &tls.ConnectionState{}
			if secure := p.CheckTLS(r) == nil; secure != p.Secure(r) {
				t.Errorf("over TLS: %v", secure)
			}
		})
	}
}

// A request over a Unix socket names the entry that would trust its peers.
func TestCheckTLSCauseOnAUnixSocket(t *testing.T) {
	t.Parallel()
	r := requestVia("@", "X-Forwarded-Proto", "https")
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.UnixAddr{Name: "/run/app.sock", Net: "unix"}))
	var f *middleware.Refusal
	err := proxies(t, middleware.ProxiesConfig{Trusted: trustedProxies}).CheckTLS(r)
	if !errors.As(err, &f) || !strings.Contains(f.Err.Error(),
		`a Unix socket is the peer, and ProxiesConfig.Trusted does not name it, so its X-Forwarded-Proto does not count: "https": if `+
			`the proxy connects to that socket, add "unix"`) {
		t.Errorf("%v", err)
	}
	if err := proxies(t, middleware.ProxiesConfig{Trusted: []string{"unix"}}).CheckTLS(r); err != nil {
		t.Errorf("trusted: %v", err)
	}
}

// A Host that is not listed, while a proxy names one that is.
func TestHostCauseNamesTheForwardedHost(t *testing.T) {
	t.Parallel()
	r := requestVia(viaProxy, "X-Forwarded-Host", "app.example")
	r.Host = "upstream:8080"
	lines := logged(t, http.NotFoundHandler(), r, hostPolicy(t, "app.example").Handler)
	const want = `HostPolicy: Host "upstream:8080": it is not one of the hosts of NewHostPolicy; X-Forwarded-Host "app.example" does ` +
		`not count: if a proxy of yours writes it, name that in ProxiesConfig.Trusted, set ` +
		`ProxiesConfig.HostHeader, and use HostPolicy.Behind`
	if cause, _ := lines[0]["cause"].(string); !strings.Contains(cause, want) {
		t.Errorf("%q", cause)
	}
}

// A Host that is not listed, from a trusted proxy that may have changed it.
func TestHostCauseNamesTheProxy(t *testing.T) {
	t.Parallel()
	const fault, peer = `HostPolicy: Host "app": it is not one of the hosts of NewHostPolicy`,
		`; 10.0.0.1 is the peer, which ProxiesConfig.Trusted names, `
	const keep = peer + `and if that proxy changes Host, let it keep the client's (nginx: proxy_set_header Host $http_host)`
	for _, row := range []struct {
		name      string
		cfg       middleware.ProxiesConfig
		via       string
		host      string // X-Forwarded-Host
		forwarded []string
		after     string // the fault
	}{
		{
			name: "it has to keep Host", via: viaProxy, after: keep,
			cfg: middleware.ProxiesConfig{Trusted: trustedProxies},
		},
		{
			name: "it writes Forwarded without a host", via: viaProxy, forwarded: []string{"proto=https"}, after: keep,
			cfg: middleware.ProxiesConfig{Trusted: trustedProxies, Forwarded: true},
		},
		{
			name: "it has to name Host in a header", via: viaProxy,
			cfg: middleware.ProxiesConfig{Trusted: trustedProxies, HostHeader: "X-Forwarded-Host"},
			after: peer + `and sends no X-Forwarded-Host, so its Host counts: let the proxy set it (nginx: proxy_set_header ` +
				`X-Forwarded-Host $http_host), or remove ProxiesConfig.HostHeader`,
		},
		{
			name: "it has named that Host", via: viaProxy, host: "app",
			cfg: middleware.ProxiesConfig{Trusted: trustedProxies, HostHeader: "X-Forwarded-Host"},
		},
		{
			name: "a client is not told of proxies", via: "203.0.113.7:4711",
			cfg: middleware.ProxiesConfig{Trusted: trustedProxies, HostHeader: "X-Forwarded-Host"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := requestVia(row.via, "Forwarded", row.forwarded...)
			r.Host = "app"
			if row.host != "" {
				r.Header.Set("X-Forwarded-Host", row.host)
			}
			err := hostPolicy(t, "app.example").Behind(proxies(t, row.cfg)).Check(r)
			guardAnswer(t, err, 421, "host_not_allowed")
			if got := errors.Unwrap(err).Error(); !strings.HasSuffix(got, fault+row.after) {
				t.Errorf("%s", got)
			}
		})
	}
}
