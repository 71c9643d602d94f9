package middleware_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// Forwarded, RFC 7239. The connection is plaintext from 10.0.0.1, which is trusted.
var forwardedTable = []struct {
	sentence string
	lines    []string
	client   string
	secure   bool
}{
	{"no header", nil, "10.0.0.1", false},
	{"§4: for and proto", []string{"for=192.0.2.60;proto=https;by=203.0.113.43"}, "192.0.2.60", true},
	{"§4: names are case-insensitive", []string{`For="[2001:db8:cafe::17]:4711"`}, "2001:db8:cafe::17", false},
	{"§4: values of proto too", []string{"FOR=192.0.2.60;PROTO=HTTPS"}, "192.0.2.60", true},
	{"§4: two elements", []string{"for=192.0.2.43, for=10.0.0.2"}, "192.0.2.43", false},
	{"§4: two lines are one list", []string{"for=192.0.2.43;proto=https", "for=10.0.0.2"}, "192.0.2.43", true},
	{"§4: an empty pair between semicolons", []string{"for=192.0.2.43;;proto=https;"}, "192.0.2.43", true},
	{"§4: a quoted string with escapes", []string{`for="192\.0.2.43";proto="ht\tps"`}, "192.0.2.43", true},
	{"§4: a comma and a semicolon in quotes", []string{`for=192.0.2.43;x="a,b;c\"d";proto=https`}, "192.0.2.43", true},
	{"§5.5: parameters we do not know", []string{"for=192.0.2.43;secret=x;proto=https"}, "192.0.2.43", true},
	{"§6: IPv4 with a port, quoted", []string{`for="192.0.2.43:47011"`}, "192.0.2.43", false},
	{"§6: an obfuscated port", []string{`for="192.0.2.43:_gazonk"`}, "192.0.2.43", false},
	{"§6: IPv6 without port", []string{`for="[2001:db8::9]"`}, "2001:db8::9", false},
	{"wss, as some proxies name it", []string{"for=192.0.2.43;proto=wss"}, "192.0.2.43", true},
	{
		"the proto of the element that names the client counts",
		[]string{"for=192.0.2.43;proto=https, for=10.0.0.2;proto=http"},
		"192.0.2.43", true,
	},
	{"and no other", []string{"for=192.0.2.43;proto=http, for=10.0.0.2;proto=https"}, "192.0.2.43", false},
	{"where all are trusted it is the leftmost", []string{"for=10.0.0.3;proto=https, for=10.0.0.2"}, "10.0.0.3", true},

	{
		"§6.2: unknown ends the walk; its proto was still the proxy's word",
		[]string{"for=127.0.0.1, for=unknown;proto=https"},
		"10.0.0.1", true,
	},
	{"§6.3: a hidden name ends the walk", []string{"for=127.0.0.1;proto=https, for=_hidden"}, "10.0.0.1", false},
	{"§6.3: a hidden name behind another proxy", []string{"for=127.0.0.1, for=_SEVKISEK;proto=https, for=10.0.0.2"}, "10.0.0.2", true},
	{"no for", []string{"for=127.0.0.1, proto=https"}, "10.0.0.1", true},

	{"spoofed: in front", []string{"for=127.0.0.1;proto=https, for=203.0.113.9;proto=http"}, "203.0.113.9", false},
	{"spoofed: in a line of its own", []string{"for=127.0.0.1;proto=https", "for=203.0.113.9;proto=http"}, "203.0.113.9", false},
	{"spoofed: a quote left open in a line of its own", []string{`for="`, "for=203.0.113.9;proto=https"}, "203.0.113.9", true},
	{
		"spoofed: a quote left open swallows the proxy's element",
		[]string{`for=127.0.0.1;proto=https;x=", for=203.0.113.9`},
		"10.0.0.1", false,
	},
	{"spoofed: a quote that ends in the proxy's", []string{`for=127.0.0.1;proto=https;x=", for="[2001:db8::9]"`}, "10.0.0.1", false},

	{"§4: for twice", []string{"for=127.0.0.1;for=192.0.2.43;proto=https"}, "10.0.0.1", false},
	{"§4: for twice, in other letter case", []string{"for=127.0.0.1;FOR=192.0.2.43"}, "10.0.0.1", false},
	{"§4: proto twice", []string{"for=192.0.2.43;proto=http;proto=https"}, "10.0.0.1", false},
	{"§4: twice, left of a proxy", []string{"for=1.1.1.1;for=2.2.2.2, for=10.0.0.2;proto=https"}, "10.0.0.2", false},
	{"RFC 9110 §5.6.1.2: an empty element is skipped", []string{"for=192.0.2.43;proto=https,"}, "192.0.2.43", true},
	{
		"RFC 9110 §5.6.1.2: empty elements in between",
		[]string{", for=192.0.2.43;proto=https,, for=10.0.0.2;proto=http ,"},
		"192.0.2.43", true,
	},
	{"RFC 9110 §5.6.1.2: an empty line", []string{"for=192.0.2.43;proto=https", ""}, "192.0.2.43", true},
	{"RFC 9110 §5.6.1.2: nothing but empty elements", []string{", ,", ""}, "10.0.0.1", false},
	{"§4: only semicolons", []string{";;"}, "10.0.0.1", false},
	{"§4: no value", []string{"for="}, "10.0.0.1", false},
	{"§4: no equals sign", []string{"for"}, "10.0.0.1", false},
	{"§4: spaces around the equals sign", []string{"for = 192.0.2.43"}, "10.0.0.1", false},
	{"§4: an unquoted colon", []string{"for=192.0.2.43:80;proto=https"}, "10.0.0.1", false},
	{"§4: unquoted brackets", []string{"for=[2001:db8::9]"}, "10.0.0.1", false},
	{"§4: letters behind the quotes", []string{`for="192.0.2.43"x`}, "10.0.0.1", false},
	{"§4: a backslash at the end", []string{`for="192.0.2.43\`}, "10.0.0.1", false},
	{"§4: a NUL in quotes", []string{"for=\"192.0.2.43\x00\""}, "10.0.0.1", false},
	{"§4: a NUL in the quotes of another parameter", []string{"for=192.0.2.43;x=\"\x00\""}, "10.0.0.1", false},
	{"§6: IPv6 without brackets", []string{`for="2001:db8::9"`}, "10.0.0.1", false},
	{"§6: IPv4 in brackets", []string{`for="[192.0.2.43]"`}, "10.0.0.1", false},
	{"§6: a zone", []string{`for="[fe80::1%eth0]"`}, "10.0.0.1", false},
	{"§6: a port of six digits", []string{`for="192.0.2.43:123456"`}, "10.0.0.1", false},
	{"§6: an empty port", []string{`for="192.0.2.43:"`}, "10.0.0.1", false},
	{"§6: an empty obfuscated port", []string{`for="192.0.2.43:_"`}, "10.0.0.1", false},
	{"§6: a name", []string{"for=client.example"}, "10.0.0.1", false},
	{"IPv4 in IPv6 is IPv4", []string{`for="[::ffff:192.0.2.43]"`}, "192.0.2.43", false},
	{"a chain of 32 is walked", []string{"for=192.0.2.43, " + longChain("for=10.0.0.2", 31)}, "192.0.2.43", false},
	{"a longer one is not", []string{"for=192.0.2.43;proto=https, " + longChain("for=10.0.0.2;proto=https", 32)}, "10.0.0.2", false},
	{
		"a line of more than 4096 bytes is not read",
		[]string{"for=192.0.2.43;proto=https;x=" + strings.Repeat("x", 4096)},
		"10.0.0.1", false,
	},
}

func TestClientIPAndSecureFromForwarded(t *testing.T) {
	p := proxies(t, middleware.ProxiesConfig{Trusted: trustedProxies, Forwarded: true})
	for _, row := range forwardedTable {
		t.Run(row.sentence, func(t *testing.T) {
			r := requestVia(viaProxy, "Forwarded", row.lines...)
			r.Header.Set("X-Forwarded-For", "198.51.100.1")
			r.Header.Set("X-Forwarded-Proto", "https")
			if got := addrText(p.ClientIP(r)); got != row.client {
				t.Errorf("client %q, want %q", got, row.client)
			}
			if got := p.Secure(r); got != row.secure {
				t.Errorf("secure %v, want %v", got, row.secure)
			}
			r.RemoteAddr = "203.0.113.200:1" // not trusted: not one line is believed
			if got := addrText(p.ClientIP(r)); got != "203.0.113.200" || p.Secure(r) {
				t.Errorf("from a stranger: client %q, secure %v", got, p.Secure(r))
			}
		})
	}
}

func TestForwardedOverTLSFromTheProxy(t *testing.T) {
	p := proxies(t, middleware.ProxiesConfig{Trusted: trustedProxies, Forwarded: true})
	for line, want := range map[string]bool{
		"for=192.0.2.43":             true, // it says nothing: the connection is all we know
		"for=192.0.2.43;proto=https": true,
		"for=192.0.2.43;proto=http":  false,
		`for=192.0.2.43;x="`:         false, // attack: a stray quote hides proto=http
	} {
		r := requestVia(viaProxy, "Forwarded", line)
		r.TLS = &tls.ConnectionState{}
		if got := p.Secure(r); got != want {
			t.Errorf("%s: secure %v, want %v", line, got, want)
		}
	}
}
