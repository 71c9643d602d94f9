package middleware_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

func hostPolicy(t testing.TB, hosts ...string) *middleware.HostPolicy {
	t.Helper()
	p, err := middleware.NewHostPolicy(hosts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func requestFor(host string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.Host = host
	return r
}

var allowedHosts = []string{
	"app.example", "api.example:8443",
	"*.wild.example", "bücher.example", "192.0.2.1", "[2001:db8::1]:444", "localhost:8080",
}

var hostTable = []struct {
	sentence, host string
	allowed        bool
}{
	{"a listed host", "app.example", true},
	{"a listed host with the default port", "app.example:443", true},
	{"a listed host in other letter case", "APP.example", true},
	{"a listed host with its port", "api.example:8443", true},
	{"a subdomain under the wildcard", "a.wild.example", true},
	{"a deeper subdomain", "a.b.wild.example:443", true},
	{"an internationalised name, as browsers send it", "xn--bcher-kva.example", true},
	{"an IPv4 address", "192.0.2.1", true},
	{"an IPv6 address", "[2001:db8::1]:444", true},
	{"an IPv6 address spelled out", "[2001:DB8:0::1]:444", true},
	{"a local port", "localhost:8080", true},

	{"rebinding: another site's name that points here", "evil.example", false},
	{"another port", "app.example:8080", false},
	{"port 80", "app.example:80", false},
	{"the default port of a host listed with another", "api.example", false},
	{"the apex of the wildcard", "wild.example", false},
	{"a subdomain at another port", "a.wild.example:8443", false},
	{"a look-alike of the apex", "evilwild.example", false},
	{"a suffix look-alike", "evilapp.example", false},
	{"a prefix look-alike", "app.example.evil.com", false},
	{"rebinding: an address by another", "127.0.0.1", false},
	{"IPv6 at the default port", "[2001:db8::1]", false},
	{"no Host, HTTP/1.0", "", false},
	{"a trailing dot", "app.example.", false},
	{"a trailing dot and a port", "app.example.:443", false},
	{"an empty port", "app.example:", false},
	{"port 0", "app.example:0", false},
	{"a port with leading zeros", "app.example:0443", false},
	{"a port too large", "app.example:65536", false},
	{"userinfo", "app.example@evil.com", false},
	{"userinfo in front", "evil@app.example", false},
	{"a scheme", "https://app.example", false},
	{"a path", "app.example/x", false},
	{"a list", "app.example,evil.com", false},
	{"a space", "app.example evil.com", false},
	{"a tab", "app.example\t", false},
	{"a NUL", "app.example\x00", false},
	{"an escape", "app%2eexample", false},
	{"a backslash", `app.example\evil.com`, false},
	{"raw UTF-8", "bücher.example", false},
	{"a full-width dot", "app。example", false},
	{"an empty label", ".wild.example", false},
	{"an asterisk", "*.wild.example", false},
	{"a zone", "[2001:db8::1%25eth0]:444", false},
	{"short IPv4", "192.0.513", false},
	{"octal IPv4", "0300.0.2.1", false},
	{"IPv6 without brackets", "2001:db8::1", false},
	{"a megabyte", strings.Repeat("a.", 1<<19) + "wild.example", false},
}

func TestHostOfARequest(t *testing.T) {
	p := hostPolicy(t, allowedHosts...)
	for _, row := range hostTable {
		t.Run(row.sentence, func(t *testing.T) {
			want := map[bool]string{false: "host_not_allowed"}[row.allowed]
			guardAnswer(t, p.Check(requestFor(row.host)), 421, want) // RFC 9110 §15.5.20
		})
	}
}

// The cause tells a port that is missing in the list from a name that is.
func TestHostCauseNamesThePort(t *testing.T) {
	t.Parallel()
	p := hostPolicy(t, "app.example", "*.wild.example:8443")
	const port, name = "NewHostPolicy has it with another port", "it is not one of the hosts of NewHostPolicy"
	for host, want := range map[string]string{
		"app.example:8443": port, "a.wild.example": port, "evil.example:8443": name, "evil.example": name, "wild.example": name,
	} {
		err := p.Check(requestFor(host))
		guardAnswer(t, err, 421, "host_not_allowed")
		if got := errors.Unwrap(err).Error(); !strings.Contains(got, fmt.Sprintf("Host %q: %s", host, want)) {
			t.Errorf("%s: %s, want %q", host, got, want)
		}
	}
}

// Attack: a header that some proxies write, and any client can.
func TestForwardedHostIsNeverLookedAt(t *testing.T) {
	p := hostPolicy(t, "app.example")
	r := requestFor("evil.example")
	r.Header.Set("X-Forwarded-Host", "app.example")
	r.Header.Set("Forwarded", "host=app.example")
	r.Header.Set("Host", "app.example")
	guardAnswer(t, p.Check(r), 421, "host_not_allowed")
}

func TestHostEntriesThatAreErrors(t *testing.T) {
	rows := []struct{ entry, hint string }{
		{"", "empty"},
		{"*", "every host"},
		{"https://app.example", `write "app.example"`},
		{"app.example/", "path"},
		{"user@app.example", "user"},
		{"app.example:", "the port is not a number"},
		{"app.example:0", "the port is not a number"},
		{"app.example:65536", "the port is not a number"},
		{"app.example.", "empty"},
		{"::1", "brackets"},
		{"[::1", "bracket"},
		{"[fe80::1%eth0]", "zone"},
		{"127.1", "IPv4"},
		{"*.com", "public suffix"},
		{"*.github.io", "public suffix"},
		{"*app.example", "whole first label"},
		{"a.*.example", "whole first label"},
		{"*.127.0.0.1", "no subdomains"},
		{"a b", "space"},
		{"ａpp.example", `write "app.example"`},
		{"xn--a.example", "xn--"},
	}
	var entries []string
	for _, row := range rows {
		entries = append(entries, row.entry)
		if p, err := middleware.NewHostPolicy("fine.example", row.entry); err == nil || p != nil ||
			!strings.Contains(err.Error(), row.hint) || !strings.HasPrefix(err.Error(), "middleware: NewHostPolicy: ") {
			t.Errorf("%q: %v lacks %q", row.entry, err, row.hint)
		}
	}
	if _, err := middleware.NewHostPolicy(entries...); len(strings.Split(err.Error(), "\n")) != len(rows) {
		t.Errorf("not one error for each of %d entries:\n%v", len(rows), err)
	}
	if _, err := middleware.NewHostPolicy(); err == nil {
		t.Error("an empty list is no error")
	}
}

func TestHostPolicyThatWasNotMadeRefuses(t *testing.T) {
	for _, p := range []*middleware.HostPolicy{nil, {}} {
		guardAnswer(t, p.Check(requestFor("app.example")), 421, "host_not_allowed")
		guardAnswer(t, p.Check(requestFor("")), 421, "host_not_allowed")
		w := httptest.NewRecorder()
		p.Handler(http.NotFoundHandler()).ServeHTTP(w, requestFor("app.example"))
		if w.Code != 421 {
			t.Errorf("Handler answered %d, want 421", w.Code)
		}
	}
}

func TestHostHandler(t *testing.T) {
	reached := 0
	h := hostPolicy(t, "app.example").Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	h.ServeHTTP(httptest.NewRecorder(), requestFor("evil.example"))
	if reached != 0 {
		t.Error("the refused request reached the handler")
	}
	h.ServeHTTP(httptest.NewRecorder(), requestFor("app.example"))
	if reached != 1 {
		t.Error("the allowed request did not reach the handler")
	}
}

func TestHostAcceptedDoesNotAllocate(t *testing.T) {
	p := hostPolicy(t, allowedHosts...)
	// the look at the suffix list
	for host, most := range map[string]float64{"app.example": 0, "app.example:443": 0, "a.b.wild.example": 1} {
		r := requestFor(host)
		if n := testing.AllocsPerRun(100, func() { _ = p.Check(r) }); n > most {
			t.Errorf("%s: %v allocations, want %v", host, n, most)
		}
	}
}

func FuzzHost(f *testing.F) {
	for _, row := range hostTable {
		f.Add(row.host)
	}
	f.Add("app-1.preview.example")
	f.Add("x.app-1.preview.example")
	p := hostPolicy(f, append([]string{"app-*.preview.example"}, allowedHosts...)...)
	f.Fuzz(func(t *testing.T, host string) {
		if p.Check(requestFor(host)) != nil {
			return
		}
		s := strings.TrimSuffix(strings.ToLower(host), ":443")
		if slices.Contains([]string{"app.example", "api.example:8443", "xn--bcher-kva.example", "192.0.2.1", "localhost:8080"}, s) {
			return
		}
		if ap, err := netip.ParseAddrPort(s); err == nil && ap == netip.MustParseAddrPort("[2001:db8::1]:444") {
			return
		}
		if part, ok := strings.CutSuffix(s, ".preview.example"); ok {
			if part, ok = strings.CutPrefix(part, "app-"); ok && part != "" &&
				strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" {
				return
			}
		}
		label, under := strings.CutSuffix(s, ".wild.example")
		if !under || label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			t.Fatalf("%q is accepted", host)
		}
	})
}
