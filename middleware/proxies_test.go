package middleware_test

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

func proxies(t testing.TB, cfg middleware.ProxiesConfig) *middleware.Proxies {
	t.Helper()
	p, err := middleware.NewProxies(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// requestVia comes from remote with these lines of one header.
func requestVia(remote, header string, lines ...string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = remote
	r.Header[header] = lines
	return r
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

var trustedProxies = []string{"10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.7"}

const viaProxy = "10.0.0.1:5555"

func longChain(hop string, n int) string {
	return strings.TrimSuffix(strings.Repeat(hop+", ", n), ", ")
}

// X-Forwarded-For, read from the right (ASVS 15.3.4).
var forwardedForTable = []struct {
	sentence, remote string
	lines            []string
	client           string
}{
	{"without the header it is the connection", viaProxy, nil, "10.0.0.1"},
	{"one proxy", viaProxy, []string{"203.0.113.9"}, "203.0.113.9"},
	{"two proxies", viaProxy, []string{"203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
	{"two proxies, a line each", viaProxy, []string{"203.0.113.9", "10.0.0.2"}, "203.0.113.9"},
	{"a single address that is trusted", "192.0.2.7:1", []string{"203.0.113.9"}, "203.0.113.9"},
	{"an IPv6 proxy", "[2001:db8:ffff::1]:1", []string{"2001:db8::9"}, "2001:db8::9"},
	{"a proxy as IPv4 in IPv6", "[::ffff:10.0.0.1]:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
	{"a proxy on a scoped address is not the trusted one", "[fe80::1%eth0]:1", []string{"203.0.113.9"}, "fe80::1"},
	{"without spaces, with tabs", viaProxy, []string{"203.0.113.9,\t10.0.0.2"}, "203.0.113.9"},
	{"an entry with a port", viaProxy, []string{"203.0.113.9:1234"}, "203.0.113.9"},
	{"IPv6 in brackets", viaProxy, []string{"[2001:db8::9]"}, "2001:db8::9"},
	{"IPv6 in brackets with a port", viaProxy, []string{"[2001:db8::9]:1234"}, "2001:db8::9"},
	{"a zone is dropped", viaProxy, []string{"fe80::9%eth0"}, "fe80::9"},
	{"where all are trusted it is the leftmost", viaProxy, []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},

	{"spoofed: what a client wrote stands left of its address", viaProxy, []string{"127.0.0.1, 203.0.113.9"}, "203.0.113.9"},
	{"spoofed: in a line of its own", viaProxy, []string{"127.0.0.1", "203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
	{"spoofed: a trusted address in front", viaProxy, []string{"1.1.1.1, 10.9.9.9, 203.0.113.9"}, "203.0.113.9"},
	{"spoofed: nobody trusted is in between", "203.0.113.9:1", []string{"127.0.0.1"}, "203.0.113.9"},
	{"spoofed: a Unix socket proves nothing", "@", []string{"127.0.0.1"}, ""},
	{"spoofed: an empty RemoteAddr proves nothing", "", []string{"127.0.0.1"}, ""},

	{"an entry that is no address ends the walk at the proxy", viaProxy, []string{"127.0.0.1, unknown"}, "10.0.0.1"},
	{"an entry that is no address, behind another proxy", viaProxy, []string{"127.0.0.1, evil, 10.0.0.2"}, "10.0.0.2"},
	{"an empty entry is skipped, RFC 9110 §5.6.1.2", viaProxy, []string{"203.0.113.9, "}, "203.0.113.9"},
	{"empty entries in between are skipped", viaProxy, []string{"127.0.0.1, ,203.0.113.9,, ,10.0.0.2,"}, "203.0.113.9"},
	{"an empty line is skipped", viaProxy, []string{"203.0.113.9", "", " "}, "203.0.113.9"},
	{"only empty entries: the proxy did not know", viaProxy, []string{", ,", ""}, "10.0.0.1"},
	{"a reasonable number of them", viaProxy, []string{"203.0.113.9" + strings.Repeat(",", 32)}, "10.0.0.1"},
	{"unix: is not trusted here", viaProxy, []string{"127.0.0.1, unix:"}, "10.0.0.1"},
	{"an entry with a bad port", viaProxy, []string{"203.0.113.9:99999"}, "10.0.0.1"},
	{"octal is not guessed at", viaProxy, []string{"0313.0.113.9"}, "10.0.0.1"},
	{"quotes belong to Forwarded", viaProxy, []string{`"203.0.113.9"`}, "10.0.0.1"},
	{"IPv4 in brackets", viaProxy, []string{"[203.0.113.9]"}, "10.0.0.1"},
	{"a bracket left open", viaProxy, []string{"[2001:db8::9"}, "10.0.0.1"},
	{"a chain of 32 is walked", viaProxy, []string{"203.0.113.9, " + longChain("10.0.0.2", 31)}, "203.0.113.9"},
	{"a longer one is not", viaProxy, []string{"203.0.113.9, " + longChain("10.0.0.2", 32)}, "10.0.0.2"},
}

func TestClientIPFromForwardedFor(t *testing.T) {
	p := proxies(t, middleware.ProxiesConfig{Trusted: trustedProxies})
	for _, row := range forwardedForTable {
		t.Run(row.sentence, func(t *testing.T) {
			r := requestVia(row.remote, "X-Forwarded-For", row.lines...)
			if got := addrText(p.ClientIP(r)); got != row.client {
				t.Errorf("client %q, want %q", got, row.client)
			}
		})
	}
}

// Attack: the proxy writes the one header and passes on the other.
func TestExactlyOneForwardingHeaderIsBelieved(t *testing.T) {
	r := requestVia(viaProxy, "X-Forwarded-For", "203.0.113.9")
	for _, name := range []string{"X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Forwarded-Host"} {
		r.Header.Set(name, "127.0.0.1")
	}
	r.Header.Set("X-Forwarded-Proto", "https")
	r.Header.Set("Forwarded", "for=127.0.0.1;proto=http")
	x := proxies(t, middleware.ProxiesConfig{Trusted: trustedProxies})
	if got := addrText(x.ClientIP(r)); got != "203.0.113.9" || !x.Secure(r) {
		t.Errorf("X-Forwarded-For: %s, secure %v", got, x.Secure(r))
	}
	f := proxies(t, middleware.ProxiesConfig{Trusted: trustedProxies, Forwarded: true})
	if got := addrText(f.ClientIP(r)); got != "127.0.0.1" || f.Secure(r) {
		t.Errorf("Forwarded: %s, secure %v", got, f.Secure(r))
	}
}

// ASVS 4.4.1: wss only. OWASP WebSocket cheat sheet: plaintext is refused unless a
// trusted proxy says https.
func TestSecure(t *testing.T) {
	p := proxies(t, middleware.ProxiesConfig{Trusted: trustedProxies})
	for _, row := range []struct {
		sentence, remote string
		tls              bool
		proto            []string
		secure           bool
	}{
		{sentence: "TLS to this server", remote: "203.0.113.9:1", tls: true, secure: true},
		{sentence: "plaintext to this server", remote: "203.0.113.9:1"},
		{sentence: "a stranger's word counts for nothing", remote: "203.0.113.9:1", proto: []string{"https"}},
		{sentence: "a stranger cannot talk TLS away either", remote: "203.0.113.9:1", tls: true, proto: []string{"http"}, secure: true},
		{sentence: "a trusted proxy says https", remote: viaProxy, proto: []string{"https"}, secure: true},
		{sentence: "in capitals", remote: viaProxy, proto: []string{"HTTPS"}, secure: true},
		{sentence: "a trusted proxy names the scheme of the handshake", remote: viaProxy, proto: []string{"wss"}, secure: true},
		{sentence: "two proxies say https", remote: viaProxy, proto: []string{"https, https"}, secure: true},
		{sentence: "a trusted proxy says http", remote: viaProxy, proto: []string{"http"}},
		{sentence: "a trusted proxy says http and speaks TLS to us", remote: viaProxy, tls: true, proto: []string{"http"}},
		{sentence: "a trusted proxy says nothing", remote: viaProxy},
		{sentence: "a trusted proxy says nothing and speaks TLS to us", remote: viaProxy, tls: true, secure: true},
		{sentence: "one of two values says http", remote: viaProxy, proto: []string{"https, http"}},
		{sentence: "the other of two values says http", remote: viaProxy, proto: []string{"http, https"}},
		{sentence: "one of two lines says http", remote: viaProxy, proto: []string{"https", "http"}},
		{sentence: "two lines say https", remote: viaProxy, proto: []string{"https", "https"}, secure: true},
		{sentence: "an empty value", remote: viaProxy, proto: []string{""}},
		{sentence: "an empty entry", remote: viaProxy, proto: []string{"https,"}},
		{sentence: "an empty line beside https", remote: viaProxy, proto: []string{"https", ""}},
		{sentence: "something else", remote: viaProxy, proto: []string{"https://"}},
		{sentence: "a Unix socket is nobody we trust", remote: "@", proto: []string{"https"}},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = row.remote
			if row.tls {
				r.TLS = &tls.ConnectionState{}
			}
			if row.proto != nil {
				r.Header["X-Forwarded-Proto"] = row.proto
			}
			if got := p.Secure(r); got != row.secure {
				t.Errorf("secure %v, want %v", got, row.secure)
			}
		})
	}
}

func TestProxiesThatWereNotMadeTrustNobody(t *testing.T) {
	for _, p := range []*middleware.Proxies{nil, {}} {
		r := requestVia("10.0.0.1:1", "X-Forwarded-For", "203.0.113.9")
		r.Header.Set("X-Forwarded-Proto", "https")
		if got := addrText(p.ClientIP(r)); got != "10.0.0.1" || p.Secure(r) {
			t.Errorf("client %s, secure %v", got, p.Secure(r))
		}
		r.TLS = &tls.ConnectionState{}
		if !p.Secure(r) {
			t.Error("TLS to this server is not secure")
		}
		r.RemoteAddr = "@"
		if p.ClientIP(r).IsValid() {
			t.Error("a Unix socket has an address")
		}
	}
}

func TestProxiesConfigsThatAreErrors(t *testing.T) {
	rows := []struct{ entry, hint string }{
		{"", "not an address"},
		{"proxy.example", "not an address"},
		{"unix:", `write "unix"`},
		{"Unix", `write "unix"`},
		{"unix:/run/app.sock", `write "unix"`},
		{"@", `write "unix"`},
		{"10.0.0.1:80", "not an address"},
		{"fe80::1%eth0", "not an address"},
		{"10.0.0.0/33", "not a prefix"},
		{"10.0.0.0/", "not a prefix"},
		{"0.0.0.0/0", "trusts every client"},
		{"::/0", "trusts every client"},
		{"10.0.0.1/8", `write "10.0.0.0/8" or "10.0.0.1"`},
		{"::ffff:10.0.0.0/104", "IPv4"},
	}
	var entries []string
	for _, row := range rows {
		entries = append(entries, row.entry)
		p, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"10.0.0.1", row.entry}})
		if err == nil || p != nil || !strings.Contains(err.Error(), row.hint) ||
			!strings.HasPrefix(err.Error(), "middleware: ProxiesConfig.Trusted: ") {
			t.Errorf("%q: %v lacks %q", row.entry, err, row.hint)
		}
	}
	if _, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: entries}); len(strings.Split(err.Error(), "\n")) != len(rows) {
		t.Errorf("not one error for each of %d entries:\n%v", len(rows), err)
	}
	if _, err := middleware.NewProxies(middleware.ProxiesConfig{}); err == nil {
		t.Error("an empty list is no error")
	}
}

func TestProxiesHandlerFindsTheClientOnce(t *testing.T) {
	outer := proxies(t, middleware.ProxiesConfig{Trusted: []string{"10.0.0.0/8"}})
	stricter := proxies(t, middleware.ProxiesConfig{Trusted: []string{"192.0.2.7"}})
	var log bytes.Buffer
	h := middleware.Chain(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-Forwarded-For", "198.51.100.1") // too late
		if got := addrText(outer.ClientIP(r)); got != "203.0.113.9" {
			t.Errorf("ClientIP %s, want what Handler found", got)
		}
		if got := addrText(stricter.ClientIP(r)); got != "10.0.0.1" {
			t.Errorf("another Proxies believed the first: %s", got)
		}
	}), outer.Handler, middleware.AccessLog(slog.New(slog.NewTextHandler(&log, nil))))
	h.ServeHTTP(httptest.NewRecorder(), requestVia(viaProxy, "X-Forwarded-For", "203.0.113.9"))
	if !strings.Contains(log.String(), "client=203.0.113.9 ") {
		t.Errorf("the access log has no client: %s", &log)
	}
}

// ASVS 16.2.1: the log names the client without the port, and as one address.
func TestAccessLogNamesTheOtherEndWithoutProxies(t *testing.T) {
	for remote, want := range map[string]string{
		"203.0.113.9:1234":          "client=203.0.113.9 ",
		"[2001:db8::9]:1234":        "client=2001:db8::9 ",
		"[::ffff:203.0.113.9]:1234": "client=203.0.113.9 ",
		"@":                         "client=@ ",
	} {
		var log bytes.Buffer
		h := middleware.AccessLog(slog.New(slog.NewTextHandler(&log, nil)))(http.NotFoundHandler())
		h.ServeHTTP(httptest.NewRecorder(), requestVia(remote, "X-Forwarded-For", "198.51.100.1"))
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s lacks %s", &log, want)
		}
	}
}

func TestProxiesDoNotAllocateForForwardedFor(t *testing.T) {
	p := proxies(t, middleware.ProxiesConfig{Trusted: trustedProxies})
	r := requestVia(viaProxy, "X-Forwarded-For", "127.0.0.1, 203.0.113.9, 10.0.0.2")
	if n := testing.AllocsPerRun(100, func() { p.ClientIP(r) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
