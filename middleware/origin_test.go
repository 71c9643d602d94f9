package middleware_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

func originPolicy(t testing.TB, cfg middleware.OriginConfig) *middleware.OriginPolicy {
	t.Helper()
	p, err := middleware.NewOriginPolicy(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// handshakeFrom is a handshake for wss://app.example with these Origin lines.
func handshakeFrom(origins ...string) *http.Request {
	r := httptest.NewRequest("GET", "https://app.example/ws", nil)
	r.Header["Connection"] = []string{"Upgrade"}
	r.Header["Upgrade"] = []string{"websocket"}
	if origins != nil {
		r.Header["Origin"] = origins
	}
	return r
}

func handshakeTo(host, origin string) *http.Request {
	r := handshakeFrom(origin)
	r.Host = host
	return r
}

// guardAnswer compares the refusal in err with the one that the specification demands; an
// empty reason means that the request passes.
func guardAnswer(t *testing.T, err error, status int, reason string) {
	t.Helper()
	var f *middleware.Refusal
	switch {
	case reason == "" && err != nil:
		t.Errorf("refused: %v", err)
	case reason == "":
	case err == nil:
		t.Errorf("passed, want %d %s", status, reason)
	case !errors.As(err, &f):
		t.Errorf("error %v is no Refusal", err)
	case f.Status != status || string(f.Reason) != reason:
		t.Errorf("refused with %d %s, want %d %s (%v)", f.Status, f.Reason, status, reason, err)
	case f.Err == nil:
		t.Error("the refusal has no cause for the log")
	}
}

func TestOriginOfAHandshake(t *testing.T) {
	p := originPolicy(t, middleware.OriginConfig{DangerouslyAllowLocalHTTP: true, Allow: listed})
	for _, row := range originTable {
		t.Run(row.sentence, func(t *testing.T) {
			guardAnswer(t, p.Check(handshakeFrom(row.origin)), 403, row.reason)
		})
	}
}

func TestOriginCanBe253BytesLong(t *testing.T) {
	p := originPolicy(t, middleware.OriginConfig{DangerouslyAllowLocalHTTP: true, Allow: listed})
	host := strings.Repeat("a.", 120) + "wild.example" // 252
	guardAnswer(t, p.Check(handshakeFrom("https://a"+host+":8443")), 403, "")
}

// RFC 6454 §7.3: a user agent sends at most one. Attack: the second line is for a
// server behind us that reads the other one.
func TestOriginHeaderTwiceIsRefused(t *testing.T) {
	for _, p := range []*middleware.OriginPolicy{
		originPolicy(t,
			middleware.OriginConfig{DangerouslyAllowLocalHTTP: true, Allow: listed, AllowMissing: true}),
		middleware.DangerouslyAnyOrigin(), nil,
	} {
		for _, lines := range [][]string{
			{"https://app.example", "https://evil.example"},
			{"https://evil.example", "https://app.example"},
			{"https://app.example", "https://app.example"},
			{"", ""},
		} {
			guardAnswer(t, p.Check(handshakeFrom(lines...)), 403, "origin_malformed")
		}
	}
}

// DNS rebinding: evil.example points at this server, so its page is same-origin
// with it and every comparison of Origin and Host agrees.
func TestOriginThatEqualsHostIsNotThereforeAllowed(t *testing.T) {
	p := originPolicy(t, middleware.OriginConfig{DangerouslyAllowLocalHTTP: true, Allow: listed, AllowMissing: true})
	r := handshakeFrom("https://evil.example")
	r.Host = "evil.example"
	guardAnswer(t, p.Check(r), 403, "origin_not_allowed")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	guardAnswer(t, p.Check(r), 403, "origin_not_allowed")
}

func TestOriginPolicyGuardsHandshakesAndUnsafeMethods(t *testing.T) {
	p := originPolicy(t, middleware.OriginConfig{Allow: []string{"https://app.example"}})
	for _, row := range []struct {
		sentence, method, upgrade string
		guarded                   bool
	}{
		{"GET passes, RFC 9110 §9.2.1", "GET", "", false},
		{"HEAD passes", "HEAD", "", false},
		{"OPTIONS passes", "OPTIONS", "", false},
		{"an upgrade to something else passes", "GET", "h2c", false},
		{"POST is guarded, ASVS 3.5.1", "POST", "", true},
		{"PUT is guarded", "PUT", "", true},
		{"PATCH is guarded", "PATCH", "", true},
		{"DELETE is guarded", "DELETE", "", true},
		{"a method in lower case is another method", "get", "", true},
		{"an unknown method is guarded", "PURGE", "", true},
		{"a handshake is guarded, RFC 6455 §10.2", "GET", "websocket", true},
		{"a handshake in capitals is guarded", "GET", "WebSocket", true},
		{"a handshake in a list is guarded", "GET", "h2c, websocket", true},
		{"a handshake by POST is guarded", "POST", "websocket", true},
		{"a handshake by OPTIONS is guarded", "OPTIONS", "websocket", true},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			r := httptest.NewRequest(row.method, "https://app.example/", nil)
			if row.upgrade != "" {
				r.Header.Set("Upgrade", row.upgrade)
			}
			want := map[bool]string{true: "origin_missing"}[row.guarded]
			guardAnswer(t, p.Check(r), 403, want)
			r.Header.Set("Origin", "https://evil.example")
			want = map[bool]string{true: "origin_not_allowed"}[row.guarded]
			guardAnswer(t, p.Check(r), 403, want)
			r.Header.Set("Origin", "https://app.example")
			guardAnswer(t, p.Check(r), 403, "")
		})
	}
	r := httptest.NewRequest("CONNECT", "https://app.example/", nil)
	r.Header[":protocol"] = []string{"websocket"}
	guardAnswer(t, p.Check(r), 403, "origin_missing") // RFC 8441 §4
}

func TestOriginPolicyThatWasNotMadeRefuses(t *testing.T) {
	for name, p := range map[string]*middleware.OriginPolicy{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			guardAnswer(t, p.Check(handshakeFrom()), 403, "origin_missing")
			guardAnswer(t, p.Check(handshakeFrom("https://app.example")), 403, "origin_not_allowed")
			guardAnswer(t, p.Check(handshakeFrom("null")), 403, "origin_not_allowed")
			guardAnswer(t, p.Check(httptest.NewRequest("POST", "https://app.example/", nil)), 403, "origin_missing")
			guardAnswer(t, p.Check(httptest.NewRequest("GET", "https://app.example/", nil)), 403, "")
			if p.AllowsAny() {
				t.Error("AllowsAny")
			}
			w := httptest.NewRecorder()
			p.Handler(http.NotFoundHandler()).ServeHTTP(w, handshakeFrom("https://app.example"))
			if w.Code != 403 {
				t.Errorf("Handler answered %d, want 403", w.Code)
			}
		})
	}
}

func TestDangerouslyAnyOrigin(t *testing.T) {
	p := middleware.DangerouslyAnyOrigin()
	if !p.AllowsAny() {
		t.Error("AllowsAny is false")
	}
	for _, row := range []struct{ origin, reason string }{
		{"https://evil.example", ""},
		{"http://evil.example:8080", ""},
		{"chrome-extension://abcdefghijklmnop", ""},
		{"null", ""},
		{"file://", ""},
		{"", "origin_malformed"},
		{"https://", "origin_malformed"},
		{"file:///", "origin_malformed"},
		{"https://a b", "origin_malformed"},
		{"https://app.example@evil.com", "origin_malformed"},
	} {
		r := handshakeFrom(row.origin)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		guardAnswer(t, p.Check(r), 403, row.reason)
	}
	guardAnswer(t, p.Check(handshakeFrom()), 403, "")
	if q := originPolicy(t, middleware.OriginConfig{Allow: listed[:1]}); q.AllowsAny() {
		t.Error("a list says AllowsAny")
	}
}

func TestOriginHandlerShowsTheReasonOnly(t *testing.T) {
	p := originPolicy(t, middleware.OriginConfig{Allow: listed[:1]})
	reached := 0
	h := p.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, handshakeFrom("https://evil.example"))
	if body := w.Body.String(); w.Code != 403 || !strings.Contains(body, "origin_not_allowed") || strings.Contains(body, "evil") ||
		reached != 0 {
		t.Errorf("answered %d %s, reached %d", w.Code, body, reached)
	}
	h.ServeHTTP(httptest.NewRecorder(), handshakeFrom("https://app.example"))
	if reached != 1 {
		t.Errorf("the handler was reached %d times, want once", reached)
	}
}
