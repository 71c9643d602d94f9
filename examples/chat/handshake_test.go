package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// send writes a handshake byte by byte, so that it is exactly the one of the test case, and
// returns the answer. Fields replace those of a valid handshake without a credential; an
// empty list removes one.
func (s *site) send(t *testing.T, c net.Conn, target string, fields http.Header) (*http.Response, string) {
	t.Helper()
	h := http.Header{
		"Host": {s.host}, "Origin": {s.origin}, "Upgrade": {"websocket"}, "Connection": {"Upgrade"},
		"Sec-WebSocket-Version": {"13"}, "Sec-WebSocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	for name, values := range fields {
		h[name] = values
	}
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\n", target)
	for name, values := range h {
		for _, v := range values {
			fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, b.String()+"\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return answer, ""
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

func (s *site) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", s.host, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestHandshake(t *testing.T) {
	s := startSite(t, generous)
	cookie, none := []string{s.cookie}, []string(nil)
	token := []string{"Bearer " + s.good(t)}
	_, port, _ := net.SplitHostPort(s.host)
	cases := []struct {
		name   string
		fields http.Header
		status int
		reason string
	}{
		{"the page, with the cookie", http.Header{"Cookie": cookie}, 101, ""},
		{"the page, with a token", http.Header{"Authorization": token}, 101, ""},
		{"a native client with a token has no Origin", http.Header{"Authorization": token, "Origin": none}, 101, ""},
		{"a subprotocol that is spoken", http.Header{"Cookie": cookie, "Sec-WebSocket-Protocol": {"other, chat.v1"}}, 101, ""},

		{"a foreign Origin", http.Header{"Cookie": cookie, "Origin": {"https://evil.example"}}, 403, "origin_not_allowed"},
		{
			"a foreign Origin with a token",
			http.Header{"Authorization": token, "Origin": {"https://evil.example"}},
			403, "origin_not_allowed",
		},
		{"the Origin of a sandboxed frame", http.Header{"Cookie": cookie, "Origin": {"null"}}, 403, "origin_not_allowed"},
		{"the same host over http", http.Header{"Cookie": cookie, "Origin": {"http://" + s.host}}, 403, "origin_not_allowed"},
		{"the same host on another port", http.Header{"Cookie": cookie, "Origin": {"https://localhost:1"}}, 403, "origin_not_allowed"},
		{
			"our name as the beginning of another",
			http.Header{"Cookie": cookie, "Origin": {"https://localhost.evil.example:" + port}},
			403, "origin_not_allowed",
		},
		{
			"our name as the end of another",
			http.Header{"Cookie": cookie, "Origin": {"https://evillocalhost:" + port}},
			403, "origin_not_allowed",
		},
		{"our name as user info", http.Header{"Cookie": cookie, "Origin": {s.origin + "@evil.example"}}, 403, "origin_malformed"},
		{"a path behind our Origin", http.Header{"Cookie": cookie, "Origin": {s.origin + "/"}}, 403, "origin_malformed"},
		{"two Origins", http.Header{"Cookie": cookie, "Origin": {s.origin, s.origin}}, 403, "origin_malformed"},
		{"the cookie without an Origin", http.Header{"Cookie": cookie, "Origin": none}, 403, "origin_missing"},
		{"Sec-Fetch-Site that disagrees", http.Header{"Cookie": cookie, "Sec-Fetch-Site": {"cross-site"}}, 403, "fetch_metadata"},
		{"another Host (DNS rebinding)", http.Header{"Cookie": cookie, "Host": {"evil.example"}}, 421, "host_not_allowed"},

		{"no credential", nil, 401, "no_credential"},
		{"a cookie of no session", http.Header{"Cookie": {"__Host-session=" + strings.Repeat("A", 43)}}, 401, "no_credential"},
		{"two credentials", http.Header{"Cookie": cookie, "Authorization": token}, 400, "multiple_credentials"},
		{
			"a good cookie beside a bad token",
			http.Header{"Cookie": cookie, "Authorization": {"Bearer nonsense"}},
			400, "multiple_credentials",
		},

		{"version 8", http.Header{"Cookie": cookie, "Sec-WebSocket-Version": {"8"}}, 426, "websocket_version"},
		{"a plain request", http.Header{"Cookie": cookie, "Upgrade": none, "Connection": none}, 426, "upgrade_required"},
		{"no key", http.Header{"Cookie": cookie, "Sec-WebSocket-Key": none}, 400, "bad_handshake"},
		{"a subprotocol that is not spoken", http.Header{"Cookie": cookie, "Sec-WebSocket-Protocol": {"other"}}, 400, "subprotocol"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			answer, body := s.send(t, s.dial(t), "/ws", c.fields)
			checkAnswer(t, answer, body, c.status, c.reason)
		})
	}
	t.Run("a token in the query", func(t *testing.T) {
		answer, body := s.send(t, s.dial(t), "/ws?access_token="+s.good(t), nil)
		checkAnswer(t, answer, body, 400, "credential_malformed") // RFC 9700 §4.3.2
	})
}

// RFC 6455 §10.6, ASVS 4.4.1.
func TestPlaintextIsRefused(t *testing.T) {
	s := startSite(t, generous)
	plain := httptest.NewServer(s.routes())
	defer plain.Close()
	c, err := net.Dial("tcp", plain.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	answer, body := s.send(t, c, "/ws", http.Header{"Cookie": {s.cookie}})
	checkAnswer(t, answer, body, 403, "tls_required")
}

func TestHandshakesAreLimited(t *testing.T) {
	const n = 5
	s := startSite(t, bounds{handshakesPerMinute: n, loginsPerMinute: n})
	for range n {
		answer, body := s.send(t, s.dial(t), "/ws", nil)
		checkAnswer(t, answer, body, 401, "no_credential")
	}
	answer, body := s.send(t, s.dial(t), "/ws", http.Header{"Cookie": {s.cookie}})
	checkAnswer(t, answer, body, 429, "rate_limited")
}

// A logout revokes the session first: the cookie is refused from then on.
func TestSignedOutCookie(t *testing.T) {
	s := startSite(t, generous)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.origin+"/logout", nil)
	r.Header.Set("Origin", s.origin)
	r.Header.Set("Cookie", s.cookie)
	out, err := insecure().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = out.Body.Close()
	if out.StatusCode != http.StatusNoContent || !strings.Contains(out.Header.Get("Clear-Site-Data"), `"storage"`) {
		t.Errorf("sign out: %s, Clear-Site-Data %q", out.Status, out.Header.Get("Clear-Site-Data"))
	}
	answer, body := s.send(t, s.dial(t), "/ws", http.Header{"Cookie": {s.cookie}})
	checkAnswer(t, answer, body, 401, "credential_revoked")
}

// checkAnswer checks the status and the stable reason, the headers that belong to them,
// and the security headers of every answer, the 101 included.
func checkAnswer(t *testing.T, answer *http.Response, body string, status int, reason string) {
	t.Helper()
	if answer.StatusCode != status {
		t.Fatalf("status %d, want %d; body %s", answer.StatusCode, status, body)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options":  "nosniff",
		"X-Frame-Options":         "DENY",
		"Referrer-Policy":         "same-origin",
		"Content-Security-Policy": "default-src 'none'",
	} {
		if got := answer.Header.Get(name); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	// RFC 6797 §8.3: it would reach every port of localhost
	if got, ok := answer.Header["Strict-Transport-Security"]; ok && status != http.StatusMisdirectedRequest {
		t.Errorf("Strict-Transport-Security %q for localhost", got)
	}
	belongs := map[int]string{401: "WWW-Authenticate", 429: "Retry-After"}[status]
	if belongs != "" && answer.Header.Get(belongs) == "" {
		t.Errorf("a %d without %s", status, belongs)
	}
	if v := answer.Header.Get("Sec-WebSocket-Version"); reason == "websocket_version" && v != "13" { // RFC 6455 §4.4
		t.Errorf("Sec-WebSocket-Version %q, want 13", v)
	}
	if status == http.StatusSwitchingProtocols {
		if got := answer.Header.Get("Sec-WebSocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" { // RFC 6455 §1.3
			t.Errorf("Sec-WebSocket-Accept %q", got)
		}
		return
	}
	checkProblem(t, answer, body, status, reason)
}

// checkProblem checks that the body is exactly the problem document of RFC 9457, without
// internal details (ASVS 16.5.1).
func checkProblem(t *testing.T, answer *http.Response, body string, status int, reason string) {
	t.Helper()
	if got := answer.Header.Get("Content-Type"); got != "application/problem+json; charset=utf-8" {
		t.Errorf("Content-Type %q", got)
	}
	var got struct {
		Type, Title, Reason string
		Status              int
	}
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatalf("body %q: %v", body, err)
	}
	if got.Type != "about:blank" || got.Status != status || got.Title != http.StatusText(status) || got.Reason != reason {
		t.Errorf("body %s, want reason %q", body, reason)
	}
}
