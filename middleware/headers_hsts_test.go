package middleware_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/securews/securews/middleware"
)

const hsts = "max-age=63072000; includeSubDomains"

// RFC 6797 §7.2: "An HSTS Host MUST NOT include the STS header field in HTTP responses conveyed
// over non-secure transport." §8.3: the ports of a host share its policy.
func TestHSTSOverTLSOnly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		url  string
		want bool
	}{
		{"over TLS", "https://app.example/", true},
		{"over TLS, with a port", "https://app.example:8443/", true},
		{"over TLS, to an address, which user agents ignore (§8.1.1)", "https://192.0.2.1/", true},
		{"in plaintext", "http://app.example/", false},
		{"localhost over TLS", "https://localhost/", false},
		{"localhost over TLS, with a port", "https://LOCALHOST:8443/", false},
		{"localhost with a dot at its end", "https://localhost.:8443/", false},
		{"a name below localhost (RFC 6761 §6.3)", "https://app.localhost:8443/", false},
		{"a name that ends in localhost", "https://notlocalhost/", true},
		{"a name below another domain", "https://localhost.example/", true},
		{"localhost in plaintext", "http://localhost:8080/", false},
	} {
		got := headersOf(new(middleware.Headers), httptest.NewRequest("GET", tt.url, nil))["Strict-Transport-Security"]
		if want := tt.want; want != slices.Equal(got, []string{hsts}) || !want && len(got) > 0 {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}

// forwarded is a request of a proxy at 192.0.2.1, which httptest takes as the peer.
func forwarded(withTLS bool, header ...string) *http.Request {
	r := requestWith("GET", "/", header...)
	r.Host = "app.example"
	if withTLS {
		r.TLS = &tls.ConnectionState{}
	}
	return r
}

// Behind a proxy, Proxies decides, in whatever order the layers stand.
func TestHSTSBehindAProxy(t *testing.T) {
	t.Parallel()
	trusting, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"192.0.2.1"}})
	if err != nil {
		t.Fatal(err)
	}
	headers := mustHeaders(t, middleware.HeadersConfig{}).Handler
	layers := map[string][]middleware.Middleware{
		"Proxies outside":             {trusting.Handler, headers},
		"Proxies inside":              {headers, trusting.Handler},
		"Proxies of the config":       {mustHeaders(t, middleware.HeadersConfig{Proxies: trusting}).Handler},
		"between two Headers":         {headers, trusting.Handler, headers},
		"inside two Headers":          {headers, headers, trusting.Handler},
		"AccessLog and Recover, too":  {middleware.AccessLog(discard), middleware.Recover(discard), headers, trusting.Handler},
		"the config, and both inside": {mustHeaders(t, middleware.HeadersConfig{Proxies: trusting}).Handler, trusting.Handler},
		"RequireTLS inside":           {headers, middleware.RequireTLS(trusting)},
		"RedirectTLS inside":          {headers, middleware.RedirectTLS(trusting, hostPolicy(t, "app.example"))},
	}
	for _, tt := range []struct {
		name string
		r    *http.Request
		want bool
	}{
		{"TLS at the proxy, plaintext behind it", forwarded(false, "X-Forwarded-Proto", "https"), true},
		{"TLS at the proxy and behind it", forwarded(true, "X-Forwarded-Proto", "https"), true},
		{"plaintext at the proxy", forwarded(false, "X-Forwarded-Proto", "http"), false},
		{"plaintext at the proxy, TLS behind it", forwarded(true, "X-Forwarded-Proto", "http"), false},
		{"a proxy that does not say", forwarded(false, "X-Forwarded-For", "198.51.100.7"), false},
		{"no proxy", forwarded(false), false},
		{"no proxy, over TLS", forwarded(true), true},
	} {
		for order, outermostFirst := range layers {
			rec := httptest.NewRecorder()
			h := middleware.Chain(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), outermostFirst...)
			h.ServeHTTP(rec, tt.r.Clone(t.Context()))
			want := []string(nil)
			if tt.want {
				want = []string{hsts}
			}
			if got := rec.Header()["Strict-Transport-Security"]; !slices.Equal(got, want) {
				t.Errorf("%s; %s: %q, want %q", tt.name, order, got, want)
			}
		}
	}
}

// A Proxies inside that does not trust the proxy removes nothing: the one of the configuration
// has found TLS, and a field of the application is its own.
func TestHSTSOfAnotherIsKept(t *testing.T) {
	t.Parallel()
	trusting, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"192.0.2.1"}})
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	middleware.Chain(http.NotFoundHandler(),
		mustHeaders(t, middleware.HeadersConfig{Proxies: trusting}).Handler, (*middleware.Proxies)(nil).Handler,
	).ServeHTTP(rec, forwarded(false, "X-Forwarded-Proto", "https"))
	if got := rec.Header()["Strict-Transport-Security"]; !slices.Equal(got, []string{hsts}) {
		t.Errorf("of the configuration: %q", got)
	}
	rec = httptest.NewRecorder()
	rec.Header().Set("Strict-Transport-Security", "max-age=1")
	(*middleware.Proxies)(nil).Handler(http.NotFoundHandler()).ServeHTTP(rec, forwarded(false))
	if got := rec.Header()["Strict-Transport-Security"]; !slices.Equal(got, []string{"max-age=1"}) {
		t.Errorf("of the application: %q", got)
	}
}

// A header that every client can send proves nothing.
func TestHSTSForgedProto(t *testing.T) {
	t.Parallel()
	other, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"203.0.113.9"}})
	if err != nil {
		t.Fatal(err)
	}
	headers := new(middleware.Headers).Handler
	for name, layers := range map[string][]middleware.Middleware{
		"without Proxies":        {headers},
		"with a Proxies inside":  {headers, other.Handler},
		"with a Proxies outside": {other.Handler, headers},
		"with a nil Proxies":     {headers, (*middleware.Proxies)(nil).Handler},
	} {
		rec := httptest.NewRecorder()
		middleware.Chain(http.NotFoundHandler(), layers...).ServeHTTP(rec,
			forwarded(false, "X-Forwarded-Proto", "https", "Forwarded", "proto=https"))
		if got := rec.Header()["Strict-Transport-Security"]; got != nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// RFC 6797 §8.3: the host is the one that the browser asked the proxy for.
func TestHSTSOfTheHostThatTheProxyNames(t *testing.T) {
	t.Parallel()
	naming, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"192.0.2.1"}, HostHeader: "X-Forwarded-Host"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		host      string
		forwarded string
		want      bool
	}{
		{"a site behind a proxy that asks for localhost", "localhost:8080", "app.example", true},
		{"localhost behind a proxy that asks for a name", "app.example", "localhost:8443", false},
	} {
		for order, layers := range map[string][]middleware.Middleware{
			"Proxies outside":     {naming.Handler, new(middleware.Headers).Handler},
			"Proxies inside":      {new(middleware.Headers).Handler, naming.Handler},
			"Proxies of a config": {mustHeaders(t, middleware.HeadersConfig{Proxies: naming}).Handler},
		} {
			r := forwarded(false, "X-Forwarded-Proto", "https", "X-Forwarded-Host", tt.forwarded)
			r.Host = tt.host
			rec := httptest.NewRecorder()
			middleware.Chain(http.NotFoundHandler(), layers...).ServeHTTP(rec, r)
			if got := rec.Header()["Strict-Transport-Security"]; (got != nil) != tt.want {
				t.Errorf("%s; %s: %q", tt.name, order, got)
			}
		}
	}
}

// The innermost Headers decides, also on the findings of a Proxies behind it.
func TestHSTSOfTheInnermostHeaders(t *testing.T) {
	t.Parallel()
	trusting, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"192.0.2.1"}})
	if err != nil {
		t.Fatal(err)
	}
	outer := new(middleware.Headers).Handler
	thisHost := mustHeaders(t, middleware.HeadersConfig{HSTSThisHostOnly: true}).Handler
	omitted := mustHeaders(t, middleware.HeadersConfig{DangerouslyOmit: []string{"Strict-Transport-Security"}}).Handler
	for _, tt := range []struct {
		name   string
		layers []middleware.Middleware
		want   []string
	}{
		{"this host alone, Proxies outside", []middleware.Middleware{trusting.Handler, outer, thisHost}, []string{"max-age=63072000"}},
		{"this host alone, Proxies inside", []middleware.Middleware{outer, thisHost, trusting.Handler}, []string{"max-age=63072000"}},
		{"omitted, Proxies outside", []middleware.Middleware{trusting.Handler, outer, omitted}, nil},
		{"omitted, Proxies inside", []middleware.Middleware{outer, omitted, trusting.Handler}, nil},
		{"omitted, Proxies between", []middleware.Middleware{outer, trusting.Handler, omitted}, nil},
	} {
		rec := httptest.NewRecorder()
		middleware.Chain(http.NotFoundHandler(), tt.layers...).ServeHTTP(rec, forwarded(false, "X-Forwarded-Proto", "https"))
		if got := rec.Header()["Strict-Transport-Security"]; !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
