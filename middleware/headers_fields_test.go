package middleware_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// HTML §7.1.3 and §7.1.4, Reporting API §3.3.
func TestHeadersIsolation(t *testing.T) {
	t.Parallel()
	got := headersOf(mustHeaders(t, middleware.HeadersConfig{
		CSP:                      middleware.CSP{ReportTo: "/csp"},
		OpenerPolicy:             "same-origin-allow-popups",
		OpenerPolicyReportOnly:   "same-origin",
		EmbedderPolicyReportOnly: "require-corp",
		IsolationReportTo:        "https://reports.example/isolation",
		OriginAgentCluster:       true,
	}), overTLS("app.example"))
	for name, want := range map[string]string{
		"Cross-Origin-Opener-Policy":               `same-origin-allow-popups; report-to="isolation"`,
		"Cross-Origin-Opener-Policy-Report-Only":   `same-origin; report-to="isolation"`,
		"Cross-Origin-Embedder-Policy-Report-Only": `require-corp; report-to="isolation"`,
		"Reporting-Endpoints":                      `csp="/csp", isolation="https://reports.example/isolation"`,
		"Origin-Agent-Cluster":                     "?1", // a boolean of RFC 9651 §3.3.6
	} {
		if v := got[name]; !slices.Equal(v, []string{want}) {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	if v := got["Cross-Origin-Embedder-Policy"]; v != nil {
		t.Errorf("Cross-Origin-Embedder-Policy: %q", v)
	}
}

func TestHeadersIsolationRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		cfg  middleware.HeadersConfig
		want string
	}{
		{
			"a report-only policy without a receiver",
			middleware.HeadersConfig{EmbedderPolicyReportOnly: "require-corp"},
			"IsolationReportTo: required",
		},
		{
			"a receiver in plaintext",
			middleware.HeadersConfig{IsolationReportTo: "http://a.example/"},
			"IsolationReportTo: \"http://a.example/\" is neither",
		},
		{"a receiver that ends the string", middleware.HeadersConfig{IsolationReportTo: `/a", b="https://b.example`}, "is neither"},
		{
			"a report-only policy that is the default",
			middleware.HeadersConfig{OpenerPolicyReportOnly: "same-origin", IsolationReportTo: "/r"},
			"is enforced already",
		},
		{
			"a report-only policy that is the enforced embedder policy",
			middleware.HeadersConfig{EmbedderPolicy: "require-corp", EmbedderPolicyReportOnly: "require-corp", IsolationReportTo: "/r"},
			"EmbedderPolicyReportOnly: \"require-corp\" is enforced already",
		},
		{
			"an unknown policy",
			middleware.HeadersConfig{OpenerPolicyReportOnly: "unsafe-none", IsolationReportTo: "/r"},
			"OpenerPolicyReportOnly: \"unsafe-none\" is none of",
		},
	} {
		_, err := middleware.NewHeaders(tt.cfg)
		if err == nil {
			t.Errorf("%s: accepted", tt.name)
			continue
		}
		wantErrors(t, err, "middleware: HeadersConfig.", tt.want)
	}
	// Together with a report-only embedder policy, the opener policy of isolation is one more.
	mustHeaders(t, middleware.HeadersConfig{
		OpenerPolicyReportOnly:   "same-origin",
		EmbedderPolicyReportOnly: "require-corp", IsolationReportTo: "/r",
	})
}

// Each header of the preset may be omitted, and nothing else changes.
func TestHeadersOmitted(t *testing.T) {
	t.Parallel()
	whole := headersOf(new(middleware.Headers), overTLS("app.example"))
	for name := range strictPreset {
		if name == "Content-Security-Policy" {
			continue // Cache-Control follows it
		}
		want := whole.Clone()
		delete(want, name)
		got := headersOf(mustHeaders(t, middleware.HeadersConfig{DangerouslyOmit: []string{name}}), overTLS("app.example"))
		if !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("without %s: %v", name, slices.Sorted(maps.Keys(got)))
		}
	}
	got := headersOf(mustHeaders(t, middleware.HeadersConfig{
		CSP:             middleware.CSP{FrameAncestors: []string{"'self'"}},
		DangerouslyOmit: []string{"Content-Security-Policy"},
	}), overTLS("app.example"))
	if got["Content-Security-Policy"] != nil || got.Get("X-Frame-Options") != "SAMEORIGIN" {
		t.Errorf("without the policy: %v", got)
	}
}

func TestHeadersOmitRefused(t *testing.T) {
	t.Parallel()
	omit := func(names ...string) middleware.HeadersConfig {
		return middleware.HeadersConfig{DangerouslyOmit: names}
	}
	with := func(cfg middleware.HeadersConfig, name string) middleware.HeadersConfig {
		cfg.DangerouslyOmit = []string{name}
		return cfg
	}
	for _, tt := range []struct {
		name string
		cfg  middleware.HeadersConfig
		want string
	}{
		{"an unknown header", omit("X-Powered-By"), `"X-Powered-By": it is none of Cache-Control, Content-Security-Policy`},
		{"another spelling", omit("content-security-policy"), "it is none of"},
		{"a header that is not sent", omit("Cross-Origin-Embedder-Policy"), "it is none of"},
		{"twice", omit("Referrer-Policy", "Referrer-Policy"), "is given twice"},
		{
			"HSTS, and its age", with(middleware.HeadersConfig{HSTS: 2 * 365 * 24 * time.Hour}, "Strict-Transport-Security"),
			"DangerouslyShortHSTS or Proxies configures it, too",
		},
		{
			"the policy, and its nonce", with(middleware.HeadersConfig{CSP: middleware.CSP{Nonce: true}}, "Content-Security-Policy"),
			": CSP configures it, too",
		},
		{
			"the referrer, and its policy", with(middleware.HeadersConfig{ReferrerPolicy: "no-referrer"}, "Referrer-Policy"),
			"ReferrerPolicy configures it, too",
		},
		{
			"permissions, and one of them",
			with(middleware.HeadersConfig{Permissions: map[string][]string{"camera": {"self"}}}, "Permissions-Policy"),
			": Permissions configures it, too",
		},
	} {
		_, err := middleware.NewHeaders(tt.cfg)
		if err == nil {
			t.Errorf("%s: accepted", tt.name)
			continue
		}
		wantErrors(t, err, "middleware: HeadersConfig.DangerouslyOmit: ", tt.want)
	}
}

// Every page may be shown in a frame: X-Frame-Options cannot say that (RFC 7034 §2.1).
func TestFrameOptionsOfEveryAncestor(t *testing.T) {
	t.Parallel()
	h := mustHeaders(t, middleware.HeadersConfig{CSP: middleware.CSP{DangerouslyAnyFrameAncestor: true}})
	if v, ok := headersOf(h, overTLS("app.example"))[http.CanonicalHeaderKey("X-Frame-Options")]; ok {
		t.Errorf("X-Frame-Options: %q", v)
	}
}

// Local Network Access §4.3 and its later names.
func TestPermissionsOfTheLocalNetwork(t *testing.T) {
	t.Parallel()
	got := headersOf(mustHeaders(t, middleware.HeadersConfig{Permissions: map[string][]string{
		"local-network": nil, "local-network-access": {"self"}, "loopback-network": {"self", "https://app.example"}, "bluetooth": nil,
	}}), overTLS("app.example")).Get("Permissions-Policy")
	const want = `accelerometer=(), bluetooth=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), idle-detection=(), ` +
		`local-network=(), local-network-access=(self), loopback-network=(self "https://app.example"), magnetometer=(), microphone=(), ` +
		`midi=(), payment=(), usb=(), window-management=(), xr-spatial-tracking=()`
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
