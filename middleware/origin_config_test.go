package middleware_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// Each entry is an error of its own that names the entry and what to write instead.
var badOrigins = []struct{ entry, hint string }{
	{"", `write "https://app.example"`},
	{"*", "DangerouslyAnyOrigin()"},
	{"https://*", "DangerouslyAnyOrigin()"},
	{"null", "sandboxed frame"},
	{"NULL", "sandboxed frame"},
	{"app.example", `write "https://app.example"`},
	{"app.example:8443", `write "https://app.example:8443"`},
	{"//app.example", `write "https://app.example"`},
	{"https:app.example", `write "https://app.example"`},
	{"*.app.example", `write "https://*.app.example"`},
	{"http://app.example", `write "https://app.example"`},
	{"http://localhost", "DangerouslyAllowLocalHTTP"},
	{"http://127.0.0.1:3000", "DangerouslyAllowLocalHTTP"},
	{"ws://app.example", `write "https://app.example"`},
	{"wss://app.example", `write "https://app.example"`},
	{"ftp://app.example", `write "https://app.example"`},
	{"file://", "opaque origin"},
	{"file://x", "opaque origin"},
	{"data://x", "opaque origin"},
	{"blob://app.example", "opaque origin"},
	{"about://blank", "opaque origin"},
	{"javascript://x", "opaque origin"},
	{"chrome-extension://", "host is missing"},
	{"chrome-extension://*", "DangerouslyAnyOrigin()"},
	{"app://*.app.example", "a wildcard is for https"},
	{"app://x/", `write "app://x"`},
	{"1app://x", "not a scheme"},
	{"ca pacitor://localhost", "space"},
	{"htps://app.example", `the scheme is misspelt: write "https://app.example"`},
	{"httpss://app.example", "misspelt"},
	{"http://app-*.localhost", "public suffix"},
	{"http://app-*.x.localhost", "name each local page"},
	{"http://tenant.localhost", "DangerouslyAllowLocalHTTP"},
	{"https://", "host is missing"},
	{"https://:443", "label of the host is empty"},
	{"https://app.example/", `write "https://app.example"`},
	{"https://app.example/chat", `write "https://app.example"`},
	{"https://app.example?x", `write "https://app.example"`},
	{"https://app.example#x", `write "https://app.example"`},
	{`https://app.example\x`, `write "https://app.example"`},
	{"https:///app.example", "host is missing"},
	{"https://user@app.example", `write "https://app.example"`},
	{"https://user:pass@app.example", `write "https://app.example"`},
	{"https://app.example@evil.com", "remove the @"},
	{"https://a.example,https://b.example", "one per entry"},
	{"https://a.example https://b.example", "space"},
	{" https://app.example", "space"},
	{"https://app.example\n", "space"},
	{"https://app.example\x00", "control character"},
	{"https://app\u00a0.example", "space"},
	{"https://app\u200b.example", "control character"},
	{"https://app\u00ad.example", "control character"},
	{"https://\xff.example", "UTF-8"},
	{"https://*app.example", "whole first label"},
	{"https://app*.example", "whole first label"},
	{"https://a.*.example", "whole first label"},
	{"https://*.*.app.example", "whole first label"},
	{"https://**.app.example", "whole first label"},
	{"https://*.app.*", "whole first label"},
	{"https://*.", "label of the host is empty"},
	{"https://app-**.app.example", "whole first label"},
	{"https://app-*-*.app.example", "whole first label"},
	{"https://app-*x.app.example", "whole first label"},
	{"https://app*-x.app.example", "whole first label"},
	{"https://-*.app.example", "whole first label"},
	{"https://*-.app.example", "whole first label"},
	{"https://app-*-.app.example", "whole first label"},
	{"https://app_-*.app.example", "whole first label"},
	{"https://büro-*.app.example", "whole first label"},
	{"https://a.app-*.example", "whole first label"},
	{"https://app-*", "whole first label"},
	{"https://app-*:443", "whole first label"},
	{"https://xn--*.app.example", "xn--"},
	{"https://app-*.com", "public suffix"},
	{"https://app-*-team.vercel.app", "public suffix"},
	{"https://app-*.kawasaki.jp", "public suffix"},
	{"https://app-*.192.0.2.1", "no subdomains"},
	{"https://app-*.preview.example.", "label of the host is empty"},
	{"https://*.com", "public suffix"},
	{"https://*.co.uk", "public suffix"},
	{"https://*.CO.UK", "public suffix"},
	{"https://*.co.uk:8443", "public suffix"},
	{"https://*.github.io", "public suffix"}, // the list's private section
	{"https://*.example", "public suffix"},   // the list's default rule "*"
	{"https://*.localhost", "public suffix"},
	{"https://*.公司.cn", "public suffix"},
	{"https://*.kawasaki.jp", "public suffix"}, // the list's wildcard rules
	{"https://*.192.0.2.1", "no subdomains"},
	{"https://*.[::1]", "no subdomains"},
	{"https://app.example:", "the port is not a number"},
	{"https://app.example:0", "the port is not a number"},
	{"https://app.example:00443", "the port is not a number"},
	{"https://app.example:0443", "leading zeros"},
	{"https://app.example:65536", "the port is not a number"},
	{"https://app.example:https", "the port is not a number"},
	{"https://app.example:*", "the port is not a number"},
	{"https://app.example:-1", "the port is not a number"},
	{"https://app.example:443:443", "brackets"},
	{"https://app.example.", "label of the host is empty"},
	{"https://.app.example", "label of the host is empty"},
	{"https://app..example", "label of the host is empty"},
	{"https://app_example!", "'!' stands in the host"},
	{"https://app%2eexample", "'%' stands in the host"},
	{"https://<app.example>", "'<' stands in the host"},
	{"https://" + strings.Repeat("a", 64) + ".example", "63 bytes"},
	{"https://" + strings.Repeat("a.", 126) + "ab", "253 bytes"},
	{"https://127.1", "IPv4"},
	{"https://127.0.0.01", "IPv4"},
	{"https://0x7f.0.0.1", "IPv4"},
	{"https://0x7f000001", "IPv4"},
	{"https://2130706433", "IPv4"},
	{"https://1.2.3.4.5", "IPv4"},
	{"https://app.256", "IPv4"},
	{"https://app.0x", "IPv4"},
	{"https://[::1", "bracket"},
	{"https://::1", "brackets"},
	{"https://[127.0.0.1]", "IPv6"},
	{"https://[fe80::1%eth0]", "zone"},
	{"https://[::1]x", "brackets"},
	{"https://[]", "IPv6"},
	{"https://xn--a.example", "xn--"},
	{"https://xn--abc-.example", "xn--"},
	{"https://xn--\u00fc.example", "UTS #46"},
	{"https://ａpp.example", `write "app.example"`},
	{"https://app。example", `write "app.example"`},
	{"https://\u212aelvin.example", `write "kelvin.example"`},
	{"https://a\u0300\u200db.example", "UTS #46"}, // a joiner in a forbidden place
	{"https://\u0300a.example", "UTS #46"},        // begins with a combining mark
	{"https://evil.com／.app.example", "host"},     // full-width solidus
}

func TestOriginEntriesThatAreErrors(t *testing.T) {
	for _, row := range badOrigins {
		t.Run(row.entry, func(t *testing.T) {
			p, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://fine.example", row.entry}})
			if err == nil {
				t.Fatal("no error")
			}
			if p != nil {
				t.Error("a policy beside the error")
			}
			if s := err.Error(); !strings.HasPrefix(s, "middleware: OriginConfig.Allow: ") || !strings.Contains(s, row.hint) {
				t.Errorf("%s\nlacks %q", s, row.hint)
			}
		})
	}
}

func TestOriginErrorsComeAllAtOnce(t *testing.T) {
	var entries []string
	for _, row := range badOrigins {
		entries = append(entries, row.entry)
	}
	_, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: entries})
	if err == nil {
		t.Fatal("no error")
	}
	if n := len(strings.Split(err.Error(), "\n")); n != len(entries) {
		t.Errorf("%d errors for %d entries:\n%v", n, len(entries), err)
	}
	if _, err := middleware.NewOriginPolicy(middleware.OriginConfig{AllowMissing: true}); err == nil ||
		!strings.Contains(err.Error(), "OriginConfig.Allow: required") {
		t.Errorf("an empty list: %v", err)
	}
}

func TestOriginEntriesAreNormalised(t *testing.T) {
	for _, row := range []struct{ entry, origin string }{
		{"HTTPS://App.Example", "https://app.example"},
		{"https://app.example:443", "https://app.example"},
		{"https://[2001:DB8:0::1]", "https://[2001:db8::1]"},
		{"https://[::ffff:192.0.2.1]", "https://[::ffff:c000:201]"},
		{"https://BÜCHER.example", "https://xn--bcher-kva.example"},
		{"https://bu\u0308cher.example", "https://xn--bcher-kva.example"}, // not composed
		{"https://xn--bcher-kva.example", "https://xn--bcher-kva.example"},
		{"https://straße.example", "https://xn--strae-oqa.example"}, // not strasse: WHATWG URL §3.3
		{"https://*.bücher.example", "https://a.xn--bcher-kva.example"},
		{"https://*.公司.example.cn", "https://a.xn--55qx5d.example.cn"},
		{"https://r3---sn-apo3qvuoxuxbt-j5pe.example", "https://r3---sn-apo3qvuoxuxbt-j5pe.example"},
		{"https://a_b.example", "https://a_b.example"},
		{"https://co.uk", "https://co.uk"}, // a public suffix by itself is one host
		{"https://intranet", "https://intranet"},
		{"https://localhost:8443", "https://localhost:8443"},
		{"https://127.0.0.1", "https://127.0.0.1"},
		{"https://*.app.co.uk", "https://a.app.co.uk"},
		{"https://*.me.github.io", "https://a.me.github.io"},
		{"http://localhost:80", "http://localhost"},
		{"HTTP://LOCALHOST", "http://localhost"},
		{"http://127.0.0.1:3000", "http://127.0.0.1:3000"},
		{"http://[::1]:3000", "http://[::1]:3000"},
		{"http://[0:0::1]:3000", "http://[::1]:3000"},
		{"http://Tenant.localhost:3000", "http://tenant.localhost:3000"},
		{"http://a.tenant.localhost", "http://a.tenant.localhost:80"},
		{"Capacitor://LocalHost", "capacitor://localhost"},
		{"https://App-*.Preview.example:443", "https://app-7.preview.example"},
		{"https://app-*.bücher.example", "https://app-7.xn--bcher-kva.example"},
	} {
		t.Run(row.entry, func(t *testing.T) {
			p := originPolicy(t, middleware.OriginConfig{Allow: []string{row.entry, row.entry}, DangerouslyAllowLocalHTTP: true})
			guardAnswer(t, p.Check(handshakeFrom(row.origin)), 403, "")
		})
	}
}

// A wildcard does not reach below a public suffix, at any depth: the names
// there have other owners (the list's private section).
func TestWildcardDoesNotReachPastAPublicSuffix(t *testing.T) {
	p := originPolicy(t, middleware.OriginConfig{Allow: []string{
		"https://*.amazonaws.com",
		"https://*.windows.net", "https://*.me.github.io",
	}})
	hosts := hostPolicy(t, "*.amazonaws.com", "*.windows.net", "*.me.github.io")
	for _, row := range []struct {
		host    string
		allowed bool
	}{
		{"console.amazonaws.com", true},
		{"a.console.amazonaws.com", true},
		{"login.windows.net", true},
		{"a.me.github.io", true},
		{"evil.s3.amazonaws.com", false},
		{"s3.amazonaws.com", false}, // the suffix itself
		{"a.evil.s3.amazonaws.com", false},
		{"evil.blob.core.windows.net", false},
		{"evil.github.io", false},
	} {
		if err := p.Check(handshakeFrom("https://" + row.host)); (err == nil) != row.allowed {
			t.Errorf("origin https://%s: %v", row.host, err)
		}
		if err := hosts.Check(requestFor(row.host)); (err == nil) != row.allowed {
			t.Errorf("host %s: %v", row.host, err)
		}
	}
}

func TestLocalHTTPIsLoopbackOnly(t *testing.T) {
	for _, entry := range []string{
		"http://app.example", "http://*.localhost", "http://applocalhost",
		"http://app.localhost.", "http://127.0.0.2", "http://localhost.evil.example",
		"http://[::2]", "http://192.168.0.1", "http://0.0.0.0", "http://127.1", "http://localhost.", "http://[::ffff:127.0.0.1]",
	} {
		if _, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{entry}, DangerouslyAllowLocalHTTP: true}); err ==
			nil {
			t.Errorf("%s is allowed", entry)
		}
	}
}

// An error never suggests a host that the entry does not have, which may be another owner's.
func TestOriginHintsNameNoOtherHost(t *testing.T) {
	for _, row := range badOrigins {
		_, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{row.entry}})
		for _, written := range regexp.MustCompile(`write "[a-z]+://([^":]+)`).FindAllStringSubmatch(err.Error(), -1) {
			host := strings.ToLower(written[1])
			if host != "app.example" && !strings.Contains(strings.ToLower(row.entry), "//"+host) &&
				!strings.HasPrefix(strings.ToLower(row.entry), host) {
				t.Errorf("%v", err)
			}
		}
	}
}

// The list is copied: changing the slice later changes nothing.
func TestOriginPolicyDoesNotKeepTheConfig(t *testing.T) {
	allow := []string{"https://app.example"}
	p := originPolicy(t, middleware.OriginConfig{Allow: allow})
	allow[0] = "https://evil.example"
	guardAnswer(t, p.Check(handshakeFrom("https://evil.example")), 403, "origin_not_allowed")
	guardAnswer(t, p.Check(handshakeFrom("https://app.example")), 403, "")
}
