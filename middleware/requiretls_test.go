package middleware_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

var pageBehindTLS = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("reached")) })

// ASVS 4.4.1, 4.1.2: refused, and not redirected.
func TestRequireTLS(t *testing.T) {
	trusting := proxies(t, middleware.ProxiesConfig{Trusted: trustedProxies})
	for _, row := range []struct {
		sentence string
		p        *middleware.Proxies
		proto    string
		tls      bool
		status   int
	}{
		{"TLS to this server", nil, "", true, 200},
		{"plaintext", nil, "", false, 403},
		{"plaintext, the header of nobody we trust", nil, "https", false, 403},
		{"a trusted proxy says https", trusting, "https", false, 200},
		{"a trusted proxy says http", trusting, "http", false, 403},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = viaProxy
			r.Header.Set("Accept", "text/html")
			if row.proto != "" {
				r.Header.Set("X-Forwarded-Proto", row.proto)
			}
			if row.tls {
				r.TLS = &tls.ConnectionState{}
			}
			w := httptest.NewRecorder()
			middleware.RequireTLS(row.p)(pageBehindTLS).ServeHTTP(w, r)
			if w.Code != row.status || w.Header().Get("Location") != "" || (w.Body.String() == "reached") != (row.status == 200) {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
			if row.status == 403 && !strings.Contains(w.Body.String(), `"tls_required"`) {
				t.Errorf("the reason is missing: %s", w.Body)
			}
		})
	}
}

func TestRedirectTLS(t *testing.T) {
	h := middleware.RedirectTLS(nil, hostPolicy(t, "app.example", "*.wild.example"))(pageBehindTLS)
	const page = "text/html,application/xhtml+xml"
	for _, row := range []struct {
		sentence, method, host, target, accept string
		status                                 int
		location                               string
	}{
		{"a document goes to https", "GET", "app.example", "/a?b=c", page, 308, "https://app.example/a?b=c"},
		{"a HEAD too", "HEAD", "app.example", "/", page, 308, "https://app.example/"},
		{"a subdomain under the wildcard", "GET", "a.wild.example", "/", page, 308, "https://a.wild.example/"},
		{"escapes stay", "GET", "app.example", "/a%2fb%20c", page, 308, "https://app.example/a%2fb%20c"},
		{"two slashes stay a path", "GET", "app.example", "//evil.com/x", page, 308, "https://app.example//evil.com/x"},
		{"a backslash stays a path", "GET", "app.example", "/%5cevil.com", page, 308, "https://app.example/%5cevil.com"},
		{"open redirect: another Host", "GET", "evil.com", "/", page, 421, ""},
		{"open redirect: a Host with userinfo", "GET", "app.example@evil.com", "/", page, 421, ""},
		{"open redirect: a Host with a path", "GET", "evil.com/app.example", "/", page, 421, ""},
		{"an API client is refused, ASVS 4.1.2", "GET", "app.example", "/api", "application/json", 403, ""},
		{"anything but HTML is refused", "GET", "app.example", "/", "*/*", 403, ""},
		{"no Accept is refused", "GET", "app.example", "/", "", 403, ""},
		{"a form is refused: it has already been sent", "POST", "app.example", "/", page, 403, ""},
		{"OPTIONS is refused", "OPTIONS", "app.example", "/", page, 403, ""},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			r := httptest.NewRequest(row.method, row.target, nil)
			r.Host = row.host
			if row.accept != "" {
				r.Header.Set("Accept", row.accept)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != row.status || w.Header().Get("Location") != row.location {
				t.Errorf("answered %d to %q, want %d to %q", w.Code, w.Header().Get("Location"), row.status, row.location)
			}
		})
	}

	ws := handshakeFrom("https://app.example")
	ws.TLS, ws.Header["Accept"] = nil, []string{page}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, ws)
	if w.Code != 403 || !strings.Contains(w.Body.String(), `"tls_required"`) {
		t.Errorf("a handshake is answered %d %s", w.Code, w.Body)
	}

	ws.TLS = &tls.ConnectionState{}
	w = httptest.NewRecorder()
	h.ServeHTTP(w, ws)
	if w.Body.String() != "reached" {
		t.Errorf("over TLS: %d %s", w.Code, w.Body)
	}
}

func TestRedirectTLSWithoutHostsRedirectsNobody(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept", "text/html")
	w := httptest.NewRecorder()
	middleware.RedirectTLS(nil, nil)(pageBehindTLS).ServeHTTP(w, r)
	if w.Code != 421 || w.Header().Get("Location") != "" {
		t.Errorf("answered %d to %q", w.Code, w.Header().Get("Location"))
	}
}
