package middleware_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// FuzzCSPSource: every source and every Host stays within the directive
// that it was given to, or is refused.
func FuzzCSPSource(f *testing.F) {
	for _, seed := range []string{
		"'self'", "'none'", "https://a.example", "*.a.example", "wss://a.example:443/x", "data:", "https:", someHash,
		"a.example; script-src *", "a.example,script-src *",
		"https://bücher.example", "*.ä.example:8443/ä", "'self'\r\nX: y", "'nonce-x'", "''self''", "https://a.example/%3B",
		"\x00", "ä", "'", "/csp", `/a"`, "localhost:8080", "[::1]",
	} {
		f.Add(seed, "app.example")
		f.Add("'self'", seed)
	}
	f.Fuzz(func(t *testing.T, source, host string) {
		one := []string{source}
		for name, c := range map[string]middleware.CSP{
			"default-src": {Default: one}, "script-src": {Script: one}, "style-src": {Style: one}, "connect-src": {Connect: one},
			"img-src": {Img: one}, "worker-src": {Worker: one}, "frame-ancestors": {FrameAncestors: one}, "form-action": {FormAction: one},
			"script-src-elem": {ScriptElem: one, DangerouslyScriptWildcards: strings.Contains(source, "*.")}, "frame-src": {Frame: one},
			"sandbox": {Sandbox: one}, "webrtc": {DangerouslyDirectives: map[string][]string{"webrtc": one}},
			"trusted-types": {TrustedTypes: one, RequireTrustedTypes: true}, "report-uri": {ReportTo: source},
		} {
			h, err := middleware.NewHeaders(middleware.HeadersConfig{CSP: c})
			if err != nil || source == "" {
				continue
			}
			r := requestWith("GET", "/")
			r.Host = host
			header := headersOf(h, r)
			checkPolicy(t, header.Get("Content-Security-Policy"), name, source)
			if endpoints := header.Get("Reporting-Endpoints"); endpoints != "" && endpoints != `csp="`+source+`"` {
				t.Errorf("Reporting-Endpoints: %s", endpoints)
			}
		}
	})
}

func checkPolicy(t *testing.T, policy, name, source string) {
	t.Helper()
	if i := strings.IndexFunc(policy, func(r rune) bool { return r < ' ' || r > '~' || r == ',' }); i >= 0 {
		t.Fatalf("%q at %d", policy, i)
	}
	known := []string{
		"default-src", "script-src", "script-src-elem", "style-src",
		"frame-src", "webrtc", "connect-src", "img-src", "worker-src", "object-src", "base-uri", "form-action",
		"frame-ancestors", "require-trusted-types-for", "trusted-types", "sandbox", "report-uri", "report-to",
	}
	found := false
	for directive := range strings.SplitSeq(policy, "; ") {
		words := strings.Split(directive, " ")
		if !slices.Contains(known, words[0]) {
			t.Fatalf("%q is a directive of %q", words[0], policy)
		}
		for _, word := range words[1:] {
			if word == "" || strings.ContainsAny(word, "; ") || words[0] != "webrtc" && strings.Contains(word, "unsafe-inline") ||
				words[0] != "webrtc" && strings.Contains(word, "unsafe-eval'") && !strings.Contains(word, "wasm") {
				t.Fatalf("%q in %q", word, policy)
			}
		}
		found = found || words[0] == name && slices.Contains(words[1:], source)
	}
	ascii := !strings.ContainsFunc(source, func(r rune) bool { return r >= 0x80 })
	if !found && ascii { // other hosts are written in Punycode
		t.Fatalf("no %s %q in %q", name, source, policy)
	}
}
