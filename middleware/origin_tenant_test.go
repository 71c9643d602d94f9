package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// Preview deployments: one label, anchored at both ends.
func TestOriginPatternsInsideALabel(t *testing.T) {
	t.Parallel()
	allow := []string{"https://app-*.preview.example", "https://*-web.preview.example:8443", "https://a-*-b.preview.example"}
	hosts := hostPolicy(t, "app-*.preview.example", "*-web.preview.example:8443", "a-*-b.preview.example")
	p := originPolicy(t, middleware.OriginConfig{Allow: allow})
	for _, row := range []struct {
		sentence, host string
		allowed        bool
	}{
		{"a part behind the prefix", "app-123.preview.example", true},
		{"a part with hyphens", "app-fix-login-7f3a.preview.example", true},
		{"in capitals, at the default port", "APP-Fix.preview.example:443", true},
		{"a part in front of the suffix", "pr-12-web.preview.example:8443", true},
		{"a part between prefix and suffix", "a-x-b.preview.example", true},
		{"no part", "app-.preview.example", false},
		{"no part between prefix and suffix", "a-b.preview.example", false},
		{"prefix and suffix overlap", "a--b.preview.example", false},
		{"the prefix without its hyphen", "app1.preview.example", false},
		{"the prefix inside the label", "evil-app-1.preview.example", false},
		{"a label in front", "evil.app-1.preview.example", false},
		{"a dot in the part", "app-1.evil.preview.example", false},
		{"an underscore in the part", "app-1_2.preview.example", false},
		{"another parent", "app-1.evil.example", false},
		{"a parent that ends alike", "app-1.evilpreview.example", false},
		{"the parent as prefix", "app-1.preview.example.evil.test", false},
		{"the parent", "preview.example", false},
		{"another port", "app-1.preview.example:8443", false},
		{"the default port of a pattern with another", "x-web.preview.example", false},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			for range 2 { // the second time from memory
				if err := p.Check(handshakeFrom("https://" + row.host)); (err == nil) != row.allowed {
					t.Errorf("origin: %v", err)
				}
			}
			if p.Check(handshakeFrom("http://"+row.host)) == nil {
				t.Error("the page without TLS is admitted")
			}
			if err := hosts.Check(requestFor(row.host)); (err == nil) != row.allowed {
				t.Errorf("host: %v", err)
			}
		})
	}
}

// The attack: the page of one tenant, or a subdomain that was taken over, opens a socket to
// the host of another, and the browser sends the user's cookies of that host, SameSite=Strict
// ones too (they are the same site).
func TestTenantsAreKeptApart(t *testing.T) {
	t.Parallel()
	behind := proxies(t, middleware.ProxiesConfig{Trusted: trustedProxies, HostHeader: "X-Forwarded-Host"})
	for _, row := range []struct {
		sentence, page, host, forwarded string
		across, allowed                 bool
	}{
		{sentence: "a tenant's page at its own host", page: "https://a.app.example", host: "a.app.example", allowed: true},
		{
			sentence: "a tenant's page at its own host, spelled otherwise",
			page:     "https://A.app.example:443", host: "a.APP.example:443", allowed: true,
		},
		{sentence: "a tenant's page at another's host", page: "https://a.app.example", host: "b.app.example"},
		{sentence: "a tenant's page at another's host below its own", page: "https://a.app.example", host: "b.a.app.example"},
		{sentence: "a tenant's page at the host above its own", page: "https://b.a.app.example", host: "a.app.example"},
		{sentence: "a tenant's page at a host of another wildcard", page: "https://a.app.example", host: "a.api.example"},
		{sentence: "a tenant's page at a host that the list names", page: "https://a.app.example", host: "api.app.example", allowed: true},
		{
			sentence: "a page that the list names, at a tenant's host",
			page:     "https://admin.app.example", host: "b.app.example", allowed: true,
		},
		{sentence: "a preview at a tenant's host", page: "https://app-1.preview.example", host: "b.app.example"},
		{
			sentence: "a tenant's page at another's host, if that was asked for",
			page:     "https://a.app.example", host: "b.app.example", across: true, allowed: true,
		},
		{
			sentence: "a proxy names the tenant's own host", page: "https://a.app.example",
			host: "10.0.0.7:8080", forwarded: "a.app.example", allowed: true,
		},
		{sentence: "a proxy names another's host", page: "https://a.app.example", host: "10.0.0.7:8080", forwarded: "b.app.example"},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			origins := originPolicy(t, middleware.OriginConfig{
				Allow:                    []string{"https://*.app.example", "https://admin.app.example", "https://app-*.preview.example"},
				DangerouslyAcrossTenants: row.across,
			})
			hosts := hostPolicy(t, "*.app.example", "api.app.example", "*.api.example")
			cors, err := origins.CORS(middleware.CORSConfig{Credentials: true})
			if err != nil {
				t.Fatal(err)
			}
			r := handshakeTo(row.host, row.page)
			if row.forwarded != "" {
				r.RemoteAddr = viaProxy
				r.Header.Set("X-Forwarded-Host", row.forwarded)
				hosts, origins = hosts.Behind(behind), origins.Behind(behind)
			}
			layers := []middleware.Middleware{hosts.Handler, origins.Handler}
			for range 4 { // in both orders, then from memory
				slices.Reverse(layers)
				w := httptest.NewRecorder()
				middleware.Chain(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }),
					layers...).ServeHTTP(w, r)
				if allowed := w.Code == 204; allowed != row.allowed ||
					!allowed && !strings.Contains(w.Body.String(), "origin_not_allowed") {
					t.Errorf("answered %d %s", w.Code, w.Body)
				}
			}
			read := r.Clone(r.Context())
			delete(read.Header, "Upgrade")
			w := httptest.NewRecorder()
			middleware.Chain(http.NotFoundHandler(), hosts.Handler, cors).ServeHTTP(w, read)
			if permitted := w.Header().Get("Access-Control-Allow-Origin") != ""; permitted != row.allowed {
				t.Errorf("reading across origins is permitted: %v", permitted)
			}
		})
	}
}

func TestTenantCauseNamesTheSettings(t *testing.T) {
	t.Parallel()
	origins := originPolicy(t, middleware.OriginConfig{Allow: []string{"https://*.app.example"}})
	lines := logged(t, http.NotFoundHandler(), handshakeTo("b.app.example", "https://a.app.example"),
		hostPolicy(t, "*.app.example").Handler, origins.Handler)
	const want = `Origin "https://a.app.example": a wildcard admits it, and another the host "b.app.example", which has another name: ` +
		`name the page in OriginConfig.Allow or the host in NewHostPolicy, or set OriginConfig.DangerouslyAcrossTenants`
	if cause, _ := lines[0]["cause"].(string); !strings.Contains(cause, want) {
		t.Errorf("%q", cause)
	}
}

// Customers' own domains: a predicate behind the same parser.
func TestOriginsThatChangeAtRunTime(t *testing.T) {
	t.Parallel()
	type tenantKey struct{}
	var asked []string
	customers := map[string]string{
		"https://shop.example":               "shop.app.example",
		"https://xn--bcher-kva.example:8443": "books.app.example:444",
	}
	p := originPolicy(t, middleware.OriginConfig{
		Allow: []string{"https://app.example"},
		AllowFunc: func(ctx context.Context, page, host string) bool {
			asked = append(asked, page+" "+host)
			return customers[page] != "" && customers[page] == host && ctx.Value(tenantKey{}) != ""
		},
	})
	asked = nil
	for _, row := range []struct{ sentence, origin, host, asked, reason string }{
		{sentence: "a listed origin is not asked about", origin: "https://app.example", host: "app.example"},
		{
			sentence: "a customer's page", origin: "https://shop.example",
			host: "shop.app.example", asked: "https://shop.example shop.app.example",
		},
		{
			sentence: "in another spelling", origin: "HTTPS://SHOP.example:443",
			host: "Shop.app.example:443", asked: "https://shop.example shop.app.example",
		},
		{
			sentence: "with ports", origin: "https://xn--bcher-kva.example:8443",
			host: "books.app.example:444", asked: "https://xn--bcher-kva.example:8443 books.app.example:444",
		},
		{
			sentence: "at another customer's host", origin: "https://shop.example",
			host: "books.app.example:444", asked: "https://shop.example books.app.example:444", reason: "origin_not_allowed",
		},
		{
			sentence: "at a Host that cannot be read", origin: "https://shop.example",
			host: "a b", asked: "https://shop.example ", reason: "origin_not_allowed",
		},
		{
			sentence: "a stranger", origin: "https://evil.example",
			host: "shop.app.example", asked: "https://evil.example shop.app.example", reason: "origin_not_allowed",
		},
		{sentence: "without TLS", origin: "http://shop.example", host: "shop.app.example", reason: "origin_not_allowed"},
		{sentence: "another scheme", origin: "shop://shop.example", host: "shop.app.example", reason: "origin_not_allowed"},
		{sentence: "null", origin: "null", host: "shop.app.example", reason: "origin_not_allowed"},
		{sentence: "a local file", origin: "file://", host: "shop.app.example", reason: "origin_not_allowed"},
		{sentence: "a path", origin: "https://shop.example/", host: "shop.app.example", reason: "origin_malformed"},
		{sentence: "userinfo", origin: "https://shop.example@evil.example", host: "shop.app.example", reason: "origin_malformed"},
		{sentence: "a trailing dot", origin: "https://shop.example.", host: "shop.app.example", reason: "origin_malformed"},
		{sentence: "a list", origin: "https://shop.example https://evil.example", host: "shop.app.example", reason: "origin_malformed"},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			asked = nil
			guardAnswer(t, p.Check(handshakeTo(row.host, row.origin)), 403, row.reason)
			if got := strings.Join(asked, ", "); got != row.asked {
				t.Errorf("asked %q, want %q", got, row.asked)
			}
		})
	}
	guardAnswer(t, p.Check(withFetchSite(handshakeTo("shop.app.example", "https://shop.example"), "cross-site")), 403, "")
	delete(customers, "https://shop.example")
	guardAnswer(t, p.Check(handshakeTo("shop.app.example", "https://shop.example")), 403, "origin_not_allowed")
}

// A predicate that allows every page is DangerouslyAnyOrigin by another name.
func TestPredicateThatAllowsAnyOriginIsAnError(t *testing.T) {
	t.Parallel()
	for sentence, allowed := range map[string]func(context.Context, string, string) bool{
		"all":                  func(context.Context, string, string) bool { return true },
		"all on https":         func(_ context.Context, page, _ string) bool { return strings.HasPrefix(page, "https://") },
		"all but one":          func(_ context.Context, page, _ string) bool { return page != "https://evil.example" },
		"where no host is set": func(_ context.Context, _, host string) bool { return host == "" },
	} {
		p, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"app.example"}, AllowFunc: allowed})
		if p != nil || err == nil || !strings.Contains(err.Error(), "OriginConfig.AllowFunc: it allows \"https://") ||
			!strings.Contains(err.Error(), "DangerouslyAnyOrigin()") || !strings.Contains(err.Error(), "the scheme is missing") {
			t.Errorf("%s: %v", sentence, err)
		}
	}
	p := originPolicy(t, middleware.OriginConfig{AllowFunc: func(context.Context, string, string) bool { return false }})
	if p.AllowsAny() {
		t.Error("AllowsAny")
	}
	if _, err := p.CORS(middleware.CORSConfig{Credentials: true}); err != nil {
		t.Errorf("CORS: %v", err)
	}
}
