package session_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/securews/securews/session"
)

// DangerouslyAllowLocalHTTP serves http on localhost, and refuses every other request.
func TestLocalHTTP(t *testing.T) {
	m := newManager(t, session.Config{DangerouslyAllowLocalHTTP: true})
	h := app(t, m)
	for name, tt := range map[string]struct {
		url    string
		header string
		status int
	}{
		"localhost":                            {"http://localhost:8080", "", 200},
		"a name below localhost":               {"http://app.localhost", "", 200},
		"127.0.0.1":                            {"http://127.0.0.1:8080", "", 200},
		"[::1]":                                {"http://[::1]:8080", "", 200},
		"[::1] without a port":                 {"http://[::1]", "", 200},
		"https":                                {"https://localhost", "", 421},
		"a public name":                        {"http://app.example", "", 421},
		"a public name that begins like local": {"http://localhost.app.example", "", 421},
		"a public name that ends like local":   {"http://evillocalhost", "", 421},
		"a private address":                    {"http://192.168.0.7", "", 421},
		"localhost behind a proxy":             {"http://localhost", "X-Forwarded-For", 421},
		"localhost behind RFC 7239":            {"http://localhost", "Forwarded", 421},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/login?u=alice", "/page"} {
				r := httptest.NewRequest("GET", tt.url+path, nil)
				if tt.header != "" {
					r.Header.Set(tt.header, "x")
				}
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, r)
				if rec.Code != tt.status {
					t.Errorf("GET %s%s: %d, want %d", tt.url, path, rec.Code, tt.status)
				}
				cookie := rec.Header().Get("Set-Cookie")
				if tt.status == 200 && path != "/page" &&
					(!strings.HasPrefix(cookie, "dev-session=") || !strings.HasSuffix(cookie, "; Path=/; HttpOnly; SameSite=Strict")) {
					t.Errorf("Set-Cookie: %s", cookie)
				}
				if tt.status != 200 && cookie != "" {
					t.Errorf("Set-Cookie: %s", cookie)
				}
			}
			if _, err := m.Authenticate(httptest.NewRequest("GET", "https://app.example/", nil)); err == nil {
				t.Error("Authenticate without Handler accepts another host")
			}
		})
	}
}

func TestLocalCookieWorks(t *testing.T) {
	h := app(t, newManager(t, session.Config{DangerouslyAllowLocalHTTP: true}))
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", "http://localhost/login?u=alice", nil))
	r := httptest.NewRequest("GET", "http://localhost/me", nil)
	r.AddCookie(rec.Result().Cookies()[0])
	rec = httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Body.String() != "alice" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	r.URL.Path = "/logout"
	rec = httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != 200 || rec.Header()["Clear-Site-Data"] != nil {
		t.Errorf("logout: %d %v", rec.Code, rec.Header())
	}
}

// A proxy that rewrites Host to its backend, and adds nothing, as nginx does by
// default: the page's Origin gives it away (RFC 6454 §7).
func TestLocalHTTPBehindASilentProxy(t *testing.T) {
	h := app(t, newManager(t, session.Config{DangerouslyAllowLocalHTTP: true}))
	for origin, status := range map[string]int{
		"http://localhost:8080": 200, "http://127.0.0.1:8080": 200, "https://localhost:5173": 200, "null": 200,
		"https://app.example": 421, "http://localhost.app.example": 421, "://": 421, "": 421,
	} {
		r := httptest.NewRequest("POST", "http://127.0.0.1:8080/login?u=alice", nil)
		r.Header.Set("Origin", origin)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if cookie := rec.Header().Get("Set-Cookie"); rec.Code != status || (cookie != "") != (status == 200) {
			t.Errorf("Origin %q: %d, Set-Cookie %q, want %d", origin, rec.Code, cookie, status)
		}
	}
}

// The headers of the browser (as Chromium was seen to send them) and of the proxies in front tell
// a page of a deployment from a local one, although both requests are for http://localhost:8080.
// No sign-in of the former gets a cookie.
func TestLocalHTTPByTheHeaderOfTheRequest(t *testing.T) {
	h := app(t, newManager(t, session.Config{DangerouslyAllowLocalHTTP: true}))
	for _, row := range []struct {
		sentence string
		proto    string // default: HTTP/1.1
		header   string // lines of name: value
		status   int
	}{
		// Development.
		{sentence: "an address that was typed", header: "Sec-Fetch-Site: none", status: 200},
		{sentence: "curl", status: 200},
		{sentence: "a page's own request", header: "Sec-Fetch-Site: same-origin\nReferer: http://localhost:8080/sign-in?x=1", status: 200},
		{
			sentence: "a development server that rewrites Host",
			header:   "Sec-Fetch-Site: same-origin\nReferer: http://localhost:5173/a/b\nConnection: close", status: 200,
		},
		{
			sentence: "a development server that adds what it forwards for", status: 200,
			header: "X-Forwarded-For: ::ffff:127.0.0.1\nX-Forwarded-Host: localhost:5173\nX-Forwarded-Proto: http\nX-Forwarded-Port: " +
				"5173\nReferer: http://localhost:5173/a",
		},
		{sentence: "two of them", header: "X-Forwarded-For: 127.0.0.1, ::1\nX-Forwarded-Proto: http,ws\nX-Real-Ip: 127.0.0.1", status: 200},
		{sentence: "a provider's redirect", header: "Sec-Fetch-Site: cross-site", status: 200},
		{
			sentence: "a provider's redirect with its origin",
			header:   "Sec-Fetch-Site: cross-site\nReferer: https://id.example/", status: 200,
		},
		{
			sentence: "a provider's redirect that a local page began",
			header:   "Sec-Fetch-Site: cross-site\nReferer: http://localhost:8080/sign-in", status: 200,
		},
		{
			sentence: "a provider's redirect with its origin, in a browser without Fetch Metadata",
			header:   "Referer: https://id.example:8443", status: 200,
		},
		{sentence: "a Referer that is no page", header: "Referer: android-app://com.example/x", status: 200},
		// Deployments behind a proxy that rewrites Host.
		{sentence: "nginx's default", proto: "HTTP/1.0", header: "Connection: close", status: 421},
		{
			sentence: "nginx's default, at the end of a sign-in that the page began", proto: "HTTP/1.0",
			header: "Connection: close\nSec-Fetch-Site: cross-site\nReferer: https://app.example/sign-in", status: 421,
		},
		{
			sentence: "the end of a sign-in that the page began",
			header:   "Sec-Fetch-Site: cross-site\nReferer: https://app.example/sign-in", status: 421,
		},
		{sentence: "the same, from a query", header: "Sec-Fetch-Site: cross-site\nReferer: https://app.example/?sign-in", status: 421},
		{sentence: "what the first page loads", header: "Sec-Fetch-Site: same-origin\nReferer: https://app.example/", status: 421},
		{sentence: "a page of a sibling host", header: "Sec-Fetch-Site: same-site\nReferer: https://www.app.example/", status: 421},
		{sentence: "a page without TLS", header: "Sec-Fetch-Site: same-origin\nReferer: http://app.example/", status: 421},
		{
			sentence: "a name that begins like a local one", header: "Sec-Fetch-Site: same-origin\nReferer: http://localhost.app.example/",
			status: 421,
		},
		{sentence: "a client elsewhere", header: "X-Forwarded-For: 203.0.113.9", status: 421},
		{sentence: "a client elsewhere before a local proxy", header: "X-Forwarded-For: 203.0.113.9, 127.0.0.1", status: 421},
		{sentence: "a client elsewhere on a second line", header: "X-Forwarded-For: 127.0.0.1\nX-Forwarded-For: 203.0.113.9", status: 421},
		{sentence: "a client without an address", header: "X-Forwarded-For: ", status: 421},
		{sentence: "another host", header: "X-Forwarded-Host: app.example", status: 421},
		{sentence: "another scheme", header: "X-Forwarded-Proto: https", status: 421},
		{sentence: "another port", header: "X-Forwarded-Port: 443", status: 421},
		{sentence: "another address", header: "X-Real-Ip: 203.0.113.9", status: 421},
		{sentence: "Apache", header: "X-Forwarded-Server: app.example", status: 421},
		{sentence: "RFC 7239, of a local client", header: "Forwarded: for=127.0.0.1", status: 421},
		{sentence: "RFC 9110 §7.6.3", header: "Via: 1.1 cache", status: 421},
		{sentence: "RFC 8586", header: "Cdn-Loop: cloudflare", status: 421},
		{sentence: "Cloudflare", header: "Cf-Connecting-Ip: 203.0.113.9", status: 421},
		{sentence: "a load balancer of AWS", header: "X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678", status: 421},
		{sentence: "TLS that ends in front", header: "Front-End-Https: on", status: 421},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "http://localhost:8080/login?u=alice", nil)
			if row.proto == "HTTP/1.0" {
				r.Proto, r.ProtoMinor = row.proto, 0
			}
			for line := range strings.Lines(row.header) {
				name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
				r.Header.Add(name, value)
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			if cookie := rec.Header().Get("Set-Cookie"); rec.Code != row.status || (cookie != "") != (row.status == 200) {
				t.Errorf("%d, Set-Cookie %q, want %d", rec.Code, cookie, row.status)
			}
		})
	}
}
