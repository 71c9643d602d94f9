package middleware_test

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// FuzzOrigin compares the policy with net/url, which parses origins with other code:
// an accepted value is an origin, and its scheme, host and port are on the list or under its
// wildcard.
func FuzzOrigin(f *testing.F) {
	for _, row := range originTable {
		f.Add(row.origin)
	}
	for _, s := range []string{
		"https://app-1.preview.example", "https://app-.preview.example",
		"https://evil.app-1.preview.example", "capacitor://localhost", "capacitor://localhost:1",
	} {
		f.Add(s)
	}
	p := originPolicy(f, middleware.OriginConfig{
		DangerouslyAllowLocalHTTP: true,
		Allow:                     append([]string{"https://app-*.preview.example", "capacitor://localhost"}, listed...),
	})
	f.Fuzz(func(t *testing.T, s string) {
		if p.Check(handshakeFrom(s)) != nil {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" ||
			strings.ContainsAny(s, `#?@\ `) {
			t.Fatalf("%q is accepted and no origin: %v", s, err)
		}
		host, port := strings.ToLower(u.Hostname()), u.Port()
		if a, err := netip.ParseAddr(host); err == nil {
			host = a.String()
		}
		if port == "" {
			port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
		}
		tuple := u.Scheme + " " + host + " " + port
		onList := slices.Contains([]string{
			"https app.example 443", "https app.example 8443", "https xn--bcher-kva.example 443", "https 192.0.2.1 443",
			"https 2001:db8::1 444", "https a_b.example 443", "http localhost 3000", "http ::1 80", "capacitor localhost ",
		}, tuple)
		underWildcard := u.Scheme == "https" && (port == "443" || port == "8443") && strings.HasSuffix(host, ".wild.example") &&
			!strings.HasPrefix(host, ".")
		part, isPreview := strings.CutPrefix(host, "app-")
		part, below := strings.CutSuffix(part, ".preview.example")
		isPreview = isPreview && below && part != "" && strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" &&
			u.Scheme == "https" && port == "443"
		if !onList && !underWildcard && !isPreview {
			t.Fatalf("%q is accepted as %s", s, tuple)
		}
	})
}

// FuzzOriginConfig: an entry is an error or a rule; a rule without a
// wildcard admits the origin that net/url parses, and no other.
func FuzzOriginConfig(f *testing.F) {
	for _, row := range badOrigins {
		f.Add(row.entry)
	}
	for _, s := range listed {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		p, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{entry}})
		if (p == nil) == (err == nil) {
			t.Fatal("neither or both of policy and error")
		}
		if err != nil || strings.Contains(entry, "stranger") {
			return
		}
		scheme, rest, ok := strings.Cut(entry, "://")
		if !ok || slices.Contains([]string{"http", "file", "data", "blob", "ws", "wss", "ftp"}, strings.ToLower(scheme)) {
			t.Fatalf("%q is allowed", entry)
		}
		if strings.Contains(entry, "*") && !strings.EqualFold(scheme, "https") {
			t.Fatalf("the wildcard %q is allowed", entry)
		}
		for _, stranger := range []string{
			"null", "file://",
			"https://stranger.test", "http://" + rest, entry + ".stranger.test", scheme + "://stranger.test" + rest,
		} {
			if p.Check(handshakeFrom(stranger)) == nil && !strings.Contains(entry, "*") {
				t.Fatalf("%q admits %q", entry, stranger)
			}
		}
	})
}
