package middleware_test

import (
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

const someHash = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='" // of nothing

func cspOf(t testing.TB, c middleware.CSP, host string) string {
	t.Helper()
	r := requestWith("GET", "/")
	r.Host = host
	return headersOf(mustHeaders(t, middleware.HeadersConfig{CSP: c}), r).Get("Content-Security-Policy")
}

// ASVS 3.4.3, 3.4.6, 3.4.7; CSP3 §6.
func TestCSPInWriting(t *testing.T) {
	t.Parallel()
	self := []string{"'self'"}
	const closed = "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	const page = "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
	for _, tt := range []struct {
		name string
		csp  middleware.CSP
		want string
	}{
		{"nothing", middleware.CSP{}, "default-src 'none'; " + closed + "; sandbox"},
		{
			"nothing, in words",
			middleware.CSP{Default: []string{"'none'"}, Img: []string{"'none'"}},
			"default-src 'none'; img-src 'none'; " + closed + "; sandbox",
		},
		{"a page", middleware.CSP{Default: self}, "default-src 'self'; connect-src 'self' wss://app.example; " + page},
		{
			"a page whose socket is elsewhere",
			middleware.CSP{Default: self, Connect: []string{"'self'", "wss://live.example"}},
			"default-src 'self'; connect-src 'self' wss://live.example; " + page,
		},
		{
			"a page without connections",
			middleware.CSP{Default: self, Connect: []string{"'none'"}},
			"default-src 'self'; connect-src 'none'; " + page,
		},
		{"connections only", middleware.CSP{Connect: self}, "default-src 'none'; connect-src 'self' wss://app.example; " + closed},
		{
			"connections elsewhere only",
			middleware.CSP{Connect: []string{"https://api.example"}},
			"default-src 'none'; connect-src https://api.example; " + closed,
		},
		{
			"every list",
			middleware.CSP{
				Script: []string{"'self'", someHash, "'wasm-unsafe-eval'"},
				Style:  []string{"https://*.cdn.example"}, Img: []string{"https:", "data:"},
				Font: []string{"https://fonts.example/a/"}, Media: []string{"blob:"}, Frame: []string{"https://pay.example:8443"},
				Worker: []string{"'self'", "blob:"}, Manifest: self,
				BaseURI: self, FormAction: []string{"https://pay.example"}, FrameAncestors: self,
			},
			"default-src 'none'; script-src 'self' " + someHash +
				" 'wasm-unsafe-eval'; style-src https://*.cdn.example; img-src https: data:; " +
				"font-src https://fonts.example/a/; media-src blob:; frame-src https://pay.example:8443; worker-src 'self' blob:; " +
				"manifest-src 'self'; object-src 'none'; base-uri 'self'; form-action https://pay.example; frame-ancestors 'self'",
		},
		{
			"trusted types",
			middleware.CSP{RequireTrustedTypes: true, TrustedTypes: []string{"dompurify", "app#1"}, UpgradeInsecureRequests: true},
			"default-src 'none'; " + closed +
				"; upgrade-insecure-requests; require-trusted-types-for 'script'; trusted-types dompurify app#1; sandbox",
		},
		{
			"no policy may be created",
			middleware.CSP{RequireTrustedTypes: true},
			"default-src 'none'; " + closed + "; require-trusted-types-for 'script'; trusted-types 'none'; sandbox",
		},
		{
			"reports",
			middleware.CSP{ReportTo: "https://reports.example/csp?app=1"},
			"default-src 'none'; " + closed + "; sandbox; report-uri https://reports.example/csp?app=1; report-to csp",
		},
		{
			"what is dangerous",
			middleware.CSP{Default: []string{"https://app.example"}, DangerouslyEval: true, DangerouslyInlineStyle: true},
			"default-src https://app.example; script-src https://app.example 'unsafe-eval'; " +
				"style-src https://app.example 'unsafe-inline'; " + page,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := cspOf(t, tt.csp, "app.example"); got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
}

// Safari before 15.4 needs the socket's origin by name. A Host is added only
// if it is a plain name, because the client wrote it.
func TestCSPNamesTheSocketOfTheHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"app.example":                    "connect-src 'self' wss://app.example;",
		"app.example:8443":               "connect-src 'self' wss://app.example:8443;",
		"APP.example":                    "connect-src 'self' wss://APP.example;",
		"localhost:8080":                 "connect-src 'self' wss://localhost:8080;",
		"192.0.2.1":                      "connect-src 'self' wss://192.0.2.1;",
		"":                               "connect-src 'self';",
		"[2001:db8::1]":                  "connect-src 'self';",
		"[2001:db8::1]:443":              "connect-src 'self';",
		"a b":                            "connect-src 'self';",
		"a.example; script-src *":        "connect-src 'self';",
		"a.example,default-src *":        "connect-src 'self';",
		"a.example\r\nX: y":              "connect-src 'self';",
		"*.example":                      "connect-src 'self';",
		"*":                              "connect-src 'self';",
		"user@a.example":                 "connect-src 'self';",
		"a.example/path":                 "connect-src 'self';",
		"a.example:":                     "connect-src 'self';",
		"a.example:port":                 "connect-src 'self';",
		"a.example:123456":               "connect-src 'self';",
		"a..example":                     "connect-src 'self';",
		"-a.example":                     "connect-src 'self';",
		"a_b.example":                    "connect-src 'self';", // browsers warn about it, and 'self' covers it
		"a.example:0443":                 "connect-src 'self';",
		"a.example:65536":                "connect-src 'self';",
		"ä.example":                      "connect-src 'self';",
		strings.Repeat("a.", 200):        "connect-src 'self';",
		strings.Repeat("a", 64):          "connect-src 'self';",
		"'none'":                         "connect-src 'self';",
		strings.Repeat("a.", 126) + "aa": "connect-src 'self';",
	} {
		if got := cspOf(t, middleware.CSP{Default: []string{"'self'"}}, host); !strings.Contains(got, want) {
			t.Errorf("%q: %s", host, got)
		}
	}
}

// A source that a list does not accept is an error that says why (CSP3 §2.3.1).
func TestCSPSourcesRefused(t *testing.T) {
	t.Parallel()
	script := func(s ...string) middleware.CSP { return middleware.CSP{Script: s} }
	for _, tt := range []struct {
		name string
		csp  middleware.CSP
		want string
	}{
		{"a keyword without quotes", script("self"), `Script: "self": it is a keyword: write 'self'`},
		{"a keyword in double quotes", script(`"self"`), "stray quote"},
		{"a keyword with one quote", script("'self"), "the closing quote is missing"},
		{"a misspelt keyword", script("'slef'"), "not a keyword of this list"},
		{"a keyword in capitals", script("'SELF'"), "not a keyword of this list"},
		{"a misspelt bare word", script("slef"), "neither a host nor a keyword"},
		{
			"a keyword of another list",
			middleware.CSP{Img: []string{"'strict-dynamic'"}},
			`Img: "'strict-dynamic'": it is not a keyword of this list`,
		},
		{"'none' beside others", script("'none'", "'self'"), `"'none'": it stands alone`},
		{"twice", script("'self'", "'self'"), "is given twice"},
		{"nothing", script(""), "is empty"},
		{"inline scripts", script("'unsafe-inline'"), "it cannot be allowed: use Nonce or hashes"},
		{"inline styles", middleware.CSP{Style: []string{"'unsafe-inline'"}}, "DangerouslyInlineStyle"},
		{"eval", script("'unsafe-eval'"), "DangerouslyEval"},
		{"inline handlers", script("'unsafe-hashes'"), "it cannot be allowed"},
		{"a nonce that is none", script("'nonce-cmFuZG9t'"), "the same for every answer"},
		{"a hash without quotes", script(strings.Trim(someHash, "'")), "it is a keyword: write"},
		{"a hash that is too short", script("'sha256-c2hvcnQ='"), "write 32 bytes"},
		{"a hash of another length", script(strings.Replace(someHash, "256", "512", 1)), "write 64 bytes"},
		{"a hash in hex", script("'sha256-" + strings.Repeat("ab", 32) + "'"), "write 32 bytes"},
		{"an unknown algorithm", script("'sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk='"), "not a keyword of this list"},
		{"a hash where none counts", middleware.CSP{Img: []string{someHash}}, "not a keyword of this list"},
		{"every host", script("*"), "is every host"},
		{"every host, for images", middleware.CSP{Img: []string{"*"}}, "or https: if the list accepts that"},
		{"every host by scheme", script("https:"), "a scheme alone admits"},
		{"scripts in URLs", script("data:"), "a scheme alone admits"},
		{"plaintext by scheme", middleware.CSP{Img: []string{"http:"}}, "is plaintext"},
		{"plaintext", script("http://a.example"), "is plaintext"},
		{"a plaintext socket", middleware.CSP{Connect: []string{"ws://a.example"}}, "is plaintext"},
		{"every socket", middleware.CSP{Connect: []string{"wss:"}}, "a scheme alone admits"},
		{"a socket among scripts", script("wss://a.example"), "its scheme is not for this list"},
		{"an unknown scheme", script("ftp://a.example"), "its scheme is not for this list"},
		{"subdomains for scripts", script("https://*.a.example"), "it is a wildcard, which is not for this list"},
		{"subdomains by inheritance", middleware.CSP{Default: []string{"*.a.example"}}, "is a wildcard"},
		{"a whole top-level domain", middleware.CSP{Img: []string{"https://*.example"}}, "whole top-level domain"},
		{"a wildcard inside", middleware.CSP{Img: []string{"https://a.*.example"}}, "neither a host nor a keyword"},
		{"every port", middleware.CSP{Img: []string{"https://a.example:*"}}, "neither a host nor a keyword"},
		{"a directive", script("'self'; script-src-elem *"), "holds a space, a separator"},
		{"a directive without space", script("https://a.example;script-src-elem"), "holds a space, a separator"},
		{"a second policy", script("https://a.example,x"), "holds a space, a separator"},
		{"two in one", script("'self' https://a.example"), "holds a space, a separator"},
		{"a line break", script("https://a.example\r\nX:y"), "holds a space, a separator"},
		{"a tab", script("\thttps://a.example"), "holds a space, a separator"},
		{"NUL", script("https://a.example\x00"), "holds a space, a separator"},
		{"a path outside ASCII", script("https://a.example/ä"), "outside ASCII"},
		{"a name of look-alikes", script("https://ａpp.example"), "look-alikes"},
		{"a name with an invisible character", script("https://a\u00adpp.example"), "control character"},
		{"a query", script("https://a.example/?x"), "has a query"},
		{"a quote in the path", script("https://a.example/'x'"), "stray quote"},
		{"an IPv6 literal, which CSP has none of", script("https://[2001:db8::1]"), "neither a host nor a keyword"},
		{"user info", script("https://u@a.example"), "neither a host nor a keyword"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := middleware.NewHeaders(middleware.HeadersConfig{CSP: tt.csp})
			wantErrors(t, err, "middleware: HeadersConfig.CSP.", tt.want)
		})
	}
}

func TestCSPContradictionsRefused(t *testing.T) {
	t.Parallel()
	none := []string{"'none'"}
	for _, tt := range []struct {
		name string
		csp  middleware.CSP
		want string
	}{
		{"'strict-dynamic' alone", middleware.CSP{Script: []string{"'strict-dynamic'"}}, "lets no script run"},
		{"no script, but a nonce", middleware.CSP{Script: none, Nonce: true}, "'none' contradicts Nonce"},
		{"no script, but eval", middleware.CSP{Script: none, DangerouslyEval: true}, "'none' contradicts"},
		{"no style, but inline", middleware.CSP{Style: none, DangerouslyInlineStyle: true}, "'none' contradicts DangerouslyInlineStyle"},
		{"inline styles beside a hash", middleware.CSP{Style: []string{someHash}, DangerouslyInlineStyle: true}, "a hash disables it"},
		{"names of no effect", middleware.CSP{TrustedTypes: []string{"app"}}, "without RequireTrustedTypes"},
		{"a name that is none", middleware.CSP{RequireTrustedTypes: true, TrustedTypes: []string{"a b"}}, `"a b" is not a policy name`},
		{"any name", middleware.CSP{RequireTrustedTypes: true, TrustedTypes: []string{"*"}}, `"*" is not a policy name`},
		{"a name twice", middleware.CSP{RequireTrustedTypes: true, TrustedTypes: []string{"a", "a"}}, `"a" is given twice`},
		{"reports in the clear", middleware.CSP{ReportTo: "http://a.example/"}, "neither an https URL"},
		{"reports to another host by path", middleware.CSP{ReportTo: "//a.example/"}, "neither an https URL"},
		{"reports nowhere", middleware.CSP{ReportTo: "https://"}, "neither an https URL"},
		{"reports to a group name", middleware.CSP{ReportTo: "default"}, "neither an https URL"},
		{"reports with a password", middleware.CSP{ReportTo: "https://u:p@a.example/"}, "neither an https URL"},
		{"reports that end the string", middleware.CSP{ReportTo: `/a",b="https://b.example`}, "neither an https URL"},
		{"reports that end the directive", middleware.CSP{ReportTo: "/a;script-src"}, "neither an https URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := middleware.NewHeaders(middleware.HeadersConfig{CSP: tt.csp})
			wantErrors(t, err, "middleware: HeadersConfig.CSP.", tt.want)
		})
	}
}

// Reporting API §3.3: each policy names its endpoint, and both stand in one header.
func TestCSPReports(t *testing.T) {
	t.Parallel()
	got := headersOf(mustHeaders(t, middleware.HeadersConfig{
		CSP:        middleware.CSP{ReportTo: "/csp"},
		ReportOnly: &middleware.CSP{ReportTo: "https://reports.example/trial"},
	}), requestWith("GET", "/"))
	for name, want := range map[string]string{
		"Content-Security-Policy":             "report-uri /csp; report-to csp",
		"Content-Security-Policy-Report-Only": "report-uri https://reports.example/trial; report-to csp-report-only",
	} {
		if v := got[name]; len(v) != 1 || !strings.HasSuffix(v[0], want) {
			t.Errorf("%s: %q, want it to end in %q", name, v, want)
		}
	}
	if v := got.Get("Reporting-Endpoints"); v != `csp="/csp", csp-report-only="https://reports.example/trial"` {
		t.Errorf("Reporting-Endpoints: %s", v)
	}
	if strings.Contains(got.Get("Content-Security-Policy-Report-Only"), "sandbox") {
		t.Error("a policy that is not enforced has a sandbox")
	}
}
