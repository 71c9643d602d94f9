package middleware_test

import (
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// Sources of real pages beyond their own origin, in the words of CSP3.
func TestCSPOfRealPages(t *testing.T) {
	t.Parallel()
	one := func(s ...string) []string { return s }
	const ends = "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	for _, tt := range []struct {
		name string
		csp  middleware.CSP
		want string
	}{
		{
			"scripts by nonce beside inline styles: a nonce would disable them (§6.7.3.2)",
			middleware.CSP{Nonce: true, DangerouslyInlineStyle: true},
			"default-src 'none'; script-src 'nonce-N'; style-src 'unsafe-inline'; " + ends,
		},
		{
			"style attributes beside styles by nonce (§6.1.16)",
			middleware.CSP{Nonce: true, DangerouslyInlineStyleAttr: true},
			"default-src 'none'; script-src 'nonce-N'; style-src 'nonce-N'; style-src-attr 'unsafe-inline'; " + ends,
		},
		{
			"elements and attributes apart (§6.1.12 to §6.1.16)",
			middleware.CSP{
				Script: one("'self'"), ScriptElem: one("'self'", "https://cdn.example"), ScriptAttr: one("'none'"),
				Style: one("'self'"), StyleElem: one("https://cdn.example"), StyleAttr: one("'none'"),
			},
			"default-src 'none'; script-src 'self'; script-src-elem 'self' https://cdn.example; script-src-attr 'none'; " +
				"style-src 'self'; style-src-elem https://cdn.example; style-src-attr 'none'; " + ends,
		},
		{
			"elements by nonce: script-src-elem stands before script-src",
			middleware.CSP{Nonce: true, ScriptElem: one("'strict-dynamic'"), StyleElem: one("'self'")},
			"default-src 'none'; script-src 'nonce-N'; script-src-elem 'strict-dynamic' 'nonce-N'; style-src 'nonce-N'; " +
				"style-src-elem 'self' 'nonce-N'; " + ends,
		},
		{
			"a handler by its hash (§6.7.3.3)",
			middleware.CSP{Nonce: true, ScriptAttr: one(someHash), StyleAttr: one(someHash), DangerouslyHashedAttr: true},
			"default-src 'none'; script-src 'nonce-N'; script-src-attr 'unsafe-hashes' " + someHash +
				"; style-src 'nonce-N'; style-src-attr 'unsafe-hashes' " + someHash + "; " + ends,
		},
		{
			"handlers of old pages",
			middleware.CSP{Nonce: true, DangerouslyInlineHandlers: true},
			"default-src 'none'; script-src 'nonce-N'; script-src-attr 'unsafe-inline'; style-src 'nonce-N'; " + ends,
		},
		{
			"Stripe",
			middleware.CSP{
				Script: one("https://js.stripe.com", "https://*.js.stripe.com"), DangerouslyScriptWildcards: true,
				Frame:   one("https://js.stripe.com", "https://*.js.stripe.com", "https://hooks.stripe.com"),
				Connect: one("https://api.stripe.com"),
			},
			"default-src 'none'; script-src https://js.stripe.com https://*.js.stripe.com; connect-src https://api.stripe.com; " +
				"frame-src https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com; " + ends,
		},
		{
			"a widget for every site",
			middleware.CSP{Img: one("'self'"), DangerouslyAnyFrameAncestor: true},
			"default-src 'none'; img-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors *",
		},
		{
			"a client of whatever server its user names",
			middleware.CSP{Connect: one("'self'", "https:", "wss:", "data:", "blob:"), DangerouslyAnyConnect: true},
			"default-src 'none'; connect-src 'self' https: wss: data: blob: wss://app.example; " + ends,
		},
		{
			"a program on the user's machine",
			middleware.CSP{
				Connect:                   one("ws://localhost:9222", "ws://127.0.0.1:*", "http://app.localhost"),
				DangerouslyAllowLocalHTTP: true,
			},
			"default-src 'none'; connect-src ws://localhost:9222 ws://127.0.0.1:* http://app.localhost; " + ends,
		},
		{
			"a preview in a frame",
			middleware.CSP{Frame: one("blob:", "data:", "https:")},
			"default-src 'none'; frame-src blob: data: https:; " + ends,
		},
		{
			"underscores, and names in Unicode (UTS #46)",
			middleware.CSP{Img: one("https://my_bucket.cdn.example", "https://bücher.example:8443/a/", "*.Straße.example")},
			"default-src 'none'; img-src https://my_bucket.cdn.example https://xn--bcher-kva.example:8443/a/ *.xn--strae-oqa.example; " +
				ends,
		},
		{
			"a sandbox with flags (HTML §7.1.5)",
			middleware.CSP{Img: one("'self'"), Sandbox: one("allow-scripts", "allow-downloads")},
			"default-src 'none'; img-src 'self'; " + ends + "; sandbox allow-scripts allow-downloads",
		},
		{
			"a sandbox without flags",
			middleware.CSP{Img: one("'self'"), Sandbox: []string{}},
			"default-src 'none'; img-src 'self'; " + ends + "; sandbox",
		},
		{
			"an API's sandbox with a flag",
			middleware.CSP{Sandbox: one("allow-downloads")},
			"default-src 'none'; " + ends + "; sandbox allow-downloads",
		},
		{"no sandbox", middleware.CSP{DangerouslyNoSandbox: true}, "default-src 'none'; " + ends},
		{
			"directives of other specifications (§2.3)",
			middleware.CSP{DangerouslyDirectives: map[string][]string{
				"webrtc":           {"'block'"},
				"fenced-frame-src": {"https://ads.example"}, "block-all-mixed-content": nil,
			}, ReportTo: "/csp"},
			"default-src 'none'; " + ends +
				"; sandbox; block-all-mixed-content; fenced-frame-src https://ads.example; webrtc 'block'; report-uri /csp; report-to csp",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := cspOf(t, tt.csp, "app.example")
			if _, rest, ok := strings.Cut(got, "'nonce-"); ok {
				nonce, _, _ := strings.Cut(rest, "'")
				got = strings.ReplaceAll(got, nonce, "N")
			}
			if got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
}

// A field without effect, a contradiction and an unnamed weakening are errors.
func TestCSPFieldsRefused(t *testing.T) {
	t.Parallel()
	one := func(s ...string) []string { return s }
	other := func(name string, values ...string) middleware.CSP {
		return middleware.CSP{DangerouslyDirectives: map[string][]string{name: values}}
	}
	for _, tt := range []struct {
		name string
		csp  middleware.CSP
		want string
	}{
		{
			"a wildcard for scripts without the word",
			middleware.CSP{Script: one("https://*.js.stripe.com")},
			"set DangerouslyScriptWildcards",
		},
		{"a wildcard for script elements", middleware.CSP{ScriptElem: one("https://*.js.stripe.com")}, "set DangerouslyScriptWildcards"},
		{"a wildcard for workers", middleware.CSP{Worker: one("https://*.js.stripe.com")}, "set DangerouslyScriptWildcards"},
		{
			"scripts of everybody's pages",
			middleware.CSP{Script: one("https://*.github.io"), DangerouslyScriptWildcards: true},
			"is a public suffix",
		},
		{
			"scripts of a country",
			middleware.CSP{Script: one("https://*.co.uk"), DangerouslyScriptWildcards: true},
			"whole top-level domain",
		},
		{"images of a country", middleware.CSP{Img: one("https://*.CO.uk:443")}, "whole top-level domain"},
		{"subdomains of an address", middleware.CSP{Img: one("https://*.192.0.2.1")}, "an IP address has no subdomains"},
		{
			"the word without a wildcard",
			middleware.CSP{Script: one("'self'"), DangerouslyScriptWildcards: true},
			"DangerouslyScriptWildcards: no list of scripts",
		},
		{"every host for scripts", middleware.CSP{Script: one("*"), DangerouslyScriptWildcards: true}, "is every host"},
		{"every host to connect to without the word", middleware.CSP{Connect: one("https:")}, "set DangerouslyAnyConnect"},
		{"every socket without the word", middleware.CSP{Connect: one("wss:")}, "set DangerouslyAnyConnect"},
		{
			"every socket in plaintext",
			middleware.CSP{Connect: one("ws:"), DangerouslyAnyConnect: true, DangerouslyAllowLocalHTTP: true},
			"is plaintext",
		},
		{
			"the word without every host",
			middleware.CSP{Connect: one("'self'"), DangerouslyAnyConnect: true},
			"DangerouslyAnyConnect: Connect has neither",
		},
		{"a local socket without the word", middleware.CSP{Connect: one("ws://localhost:9222")}, "set DangerouslyAllowLocalHTTP"},
		{"a local socket among scripts", middleware.CSP{Script: one("ws://localhost"), DangerouslyAllowLocalHTTP: true}, "is plaintext"},
		{"plaintext elsewhere", middleware.CSP{Connect: one("ws://a.example"), DangerouslyAllowLocalHTTP: true}, "is plaintext"},
		{
			"plaintext elsewhere that looks local",
			middleware.CSP{Connect: one("http://localhost.example"), DangerouslyAllowLocalHTTP: true},
			"is plaintext",
		},
		{
			"a local port that is none",
			middleware.CSP{Connect: one("http://localhost:99999"), DangerouslyAllowLocalHTTP: true},
			"neither a host nor a keyword",
		},
		{
			"any port elsewhere",
			middleware.CSP{Connect: one("https://a.example:*"), DangerouslyAllowLocalHTTP: true},
			"neither a host nor a keyword",
		},
		{"a port with a zero in front", middleware.CSP{Img: one("https://a.example:0443")}, "neither a host nor a keyword"},
		{
			"frames of everybody, and a list",
			middleware.CSP{FrameAncestors: one("'self'"), DangerouslyAnyFrameAncestor: true},
			"FrameAncestors: it contradicts",
		},
		{"everybody as a source", middleware.CSP{FrameAncestors: one("*")}, "is every host"},
		{"a handler by its hash without the word", middleware.CSP{ScriptAttr: one(someHash)}, "set DangerouslyHashedAttr"},
		{"the word without a hash", middleware.CSP{DangerouslyHashedAttr: true}, "neither ScriptAttr nor StyleAttr has a hash"},
		{"'unsafe-hashes' as a source", middleware.CSP{StyleAttr: one("'unsafe-hashes'")}, "set DangerouslyHashedAttr"},
		{"inline handlers as a source", middleware.CSP{ScriptAttr: one("'unsafe-inline'")}, "set DangerouslyInlineHandlers"},
		{"inline attributes as a source", middleware.CSP{StyleAttr: one("'unsafe-inline'")}, "set DangerouslyInlineStyleAttr"},
		{"a host for attributes", middleware.CSP{ScriptAttr: one("https://a.example")}, "an attribute has no host"},
		{"an origin for attributes", middleware.CSP{ScriptAttr: one("'self'")}, "an attribute has no origin"},
		{
			"handlers, and a list of them",
			middleware.CSP{ScriptAttr: one("'none'"), DangerouslyInlineHandlers: true},
			"ScriptAttr: it contradicts",
		},
		{
			"style attributes, and a list of them",
			middleware.CSP{StyleAttr: one("'none'"), DangerouslyInlineStyleAttr: true},
			"StyleAttr: it contradicts",
		},
		{"inline styles twice", middleware.CSP{DangerouslyInlineStyle: true, DangerouslyInlineStyleAttr: true}, "includes it"},
		{
			"inline styles behind a list of elements",
			middleware.CSP{StyleElem: one("'self'"), DangerouslyInlineStyle: true},
			"StyleElem stands before it",
		},
		{"no script element, but a nonce", middleware.CSP{ScriptElem: one("'none'"), Nonce: true}, "ScriptElem: 'none' contradicts Nonce"},
		{"'strict-dynamic' alone in elements", middleware.CSP{ScriptElem: one("'strict-dynamic'")}, "ScriptElem: 'strict-dynamic' without"},
		{"a flag that is none", middleware.CSP{Sandbox: one("allow-everything")}, `Sandbox: "allow-everything" is not a flag`},
		{"a flag in capitals", middleware.CSP{Sandbox: one("Allow-Forms")}, "is not a flag"},
		{"a directive as a flag", middleware.CSP{Sandbox: one("allow-forms; script-src *")}, "is not a flag"},
		{"a flag twice", middleware.CSP{Sandbox: one("allow-forms", "allow-forms")}, "is given twice"},
		{
			"a flag that includes another",
			middleware.CSP{Sandbox: one("allow-top-navigation", "allow-top-navigation-by-user-activation")},
			"includes allow-top-navigation-by-user-activation",
		},
		{"no sandbox, and flags", middleware.CSP{Sandbox: []string{}, DangerouslyNoSandbox: true}, "Sandbox: it contradicts"},
		{"no sandbox for a page", middleware.CSP{Default: one("'self'"), DangerouslyNoSandbox: true}, "has none: leave it out"},
		{"a directive with a field", other("script-src", "*"), "it has a field of its own"},
		{"object-src", other("object-src", "'self'"), "or is always 'none'"},
		{"a directive in capitals", other("Script-Src", "*"), "a name has lower-case letters"},
		{"a directive without a name", other(""), "a name has lower-case letters"},
		{"a second directive by name", other("webrtc; script-src"), "a name has lower-case letters"},
		{"a second directive by value", other("webrtc", "'block'; script-src *"), "a separator"},
		{"a second policy by value", other("webrtc", "'block',script-src"), "a separator"},
		{"an empty value", other("webrtc", ""), "is empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := middleware.NewHeaders(middleware.HeadersConfig{CSP: tt.csp})
			wantErrors(t, err, "middleware: HeadersConfig.CSP.", tt.want)
		})
	}
}

// CSP3 §6.3.2: a sandbox of a policy that is not enforced has no effect.
func TestCSPReportOnlyWithASandboxRefused(t *testing.T) {
	t.Parallel()
	_, err := middleware.NewHeaders(middleware.HeadersConfig{ReportOnly: &middleware.CSP{ReportTo: "/csp", Sandbox: []string{}}})
	wantErrors(t, err, "middleware: HeadersConfig.ReportOnly.Sandbox: it has no effect")
}
