package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// ask sends a request as a page does.
func (s *site) ask(t *testing.T, method, path, body string, fields http.Header) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.origin+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = fields.Clone()
	r.Header.Set("Content-Type", "application/json")
	res, err := insecure().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(text)
}

func (s *site) asPage(cookie string) http.Header {
	return http.Header{
		"Cookie": {cookie}, "Origin": {s.origin},
		"User-Agent": {"Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"},
	}
}

func (s *site) devices(t *testing.T, cookie string) (list []device) {
	t.Helper()
	status, body := s.ask(t, "GET", "/api/devices", "", s.asPage(cookie))
	if err := json.Unmarshal([]byte(body), &list); err != nil || status != 200 {
		t.Fatalf("devices: %d %s %v", status, body, err)
	}
	return list
}

// ASVS 7.5.2: the list has the user's sessions and all that is connected in each, and each can be
// ended.
func TestDevices(t *testing.T) {
	s := startSite(t, generous)
	phone := signIn(t, insecure(), s.origin, "alice", s.password)
	bob := signIn(t, insecure(), s.origin, "bob", s.bobs)
	open, _, native := s.openAll(t, phone)
	list := s.devices(t, s.cookie)
	if len(list) != 2 || !list[1].Here || list[0].Here || len(list[1].Connections) != 0 {
		t.Fatalf("devices: %+v", list)
	}
	d := list[0]
	if d.Device != "The terminal client" || d.Address != "127.0.0.1" || time.Since(d.Since) > time.Minute || d.Seen.Before(d.Since) {
		t.Errorf("the phone: %+v", d)
	}
	methods := ""
	for _, c := range d.Connections {
		methods += " " + c.Method
		if c.Address != "127.0.0.1" || time.Since(c.Since) > time.Minute {
			t.Errorf("a connection: %+v", c)
		}
	}
	if methods != " ticket ticket bearer session" {
		t.Errorf("connections by%s", methods)
	}

	if status, body := s.ask(t, "DELETE", "/api/connections/"+d.Connections[3].ID, "", s.asPage(s.cookie)); status != 204 {
		t.Fatalf("end of a connection: %d %s", status, body)
	}
	wantEnds(t, open[:1], 4001, "ended")
	if got := s.status(t, "/api/me", s.asPage(phone)); got != 200 {
		t.Errorf("the phone's session after the end of a connection: %d, want 200", got)
	}

	for _, row := range []struct {
		sentence, method, path, body string
		header                       http.Header
		status                       int
		reason                       string
	}{
		{
			sentence: "a stranger", method: "GET", path: "/api/devices",
			header: http.Header{"Origin": {s.origin}}, status: 401, reason: "no_credential",
		},
		{sentence: "a token", method: "DELETE", path: "/api/devices/" + d.ID, header: native, status: 401, reason: "no_credential"},
		{
			sentence: "a page of another site", method: "DELETE", path: "/api/devices/" + d.ID,
			header: http.Header{"Cookie": {s.cookie}, "Origin": {"https://evil.example"}}, status: 403, reason: "origin_not_allowed",
		},
		{
			sentence: "another user's session", method: "DELETE",
			path: "/api/devices/" + d.ID, header: s.asPage(bob), status: 404, reason: "not_found",
		},
		{
			sentence: "another user's connection", method: "DELETE",
			path: "/api/connections/" + d.Connections[0].ID, header: s.asPage(bob), status: 404, reason: "not_found",
		},
		{
			sentence: "no session's id", method: "DELETE", path: "/api/devices/x",
			header: s.asPage(s.cookie), status: 404, reason: "not_found",
		},
		{
			sentence: "the members, for a member", method: "GET",
			path: "/api/members", header: s.asPage(bob), status: 403, reason: "forbidden",
		},
		{
			sentence: "a role, for a member", method: "PUT", path: "/api/members/alice",
			body: `{"member":false}`, header: s.asPage(bob), status: 403, reason: "forbidden",
		},
		{
			sentence: "the administrator's own role", method: "PUT",
			path: "/api/members/alice", body: `{"member":false}`, header: s.asPage(s.cookie), status: 404, reason: "not_found",
		},
		{
			sentence: "an unknown account", method: "PUT", path: "/api/members/mallory",
			body: `{"member":false}`, header: s.asPage(s.cookie), status: 404, reason: "not_found",
		},
	} {
		if status, body := s.ask(t, row.method, row.path, row.body, row.header); status != row.status ||
			!strings.Contains(body, `"`+row.reason+`"`) {
			t.Errorf("%s: %d %s, want %d %s", row.sentence, status, body, row.status, row.reason)
		}
	}

	if status, body := s.ask(t, "DELETE", "/api/devices/"+d.ID, "", s.asPage(s.cookie)); status != 204 {
		t.Fatalf("end of a session: %d %s", status, body)
	}
	wantEnds(t, open[1:], 3000, "revoked")
	for what, header := range map[string]http.Header{"the phone": s.asPage(phone), "its token": native} {
		if got := s.status(t, "/api/me", header); got != 401 {
			t.Errorf("%s afterwards: %d, want 401", what, got)
		}
	}
	if list := s.devices(t, s.cookie); len(list) != 1 || !list[0].Here {
		t.Errorf("devices afterwards: %+v", list)
	}
}

// ASVS 8.3.2: the connections of an account that has lost its role end, whichever credential
// opened them, and Authorize refuses others. The sessions go on.
func TestRoleChange(t *testing.T) {
	s := startSite(t, generous)
	bob := signIn(t, insecure(), s.origin, "bob", s.bobs)
	open, page, native := s.openAll(t, bob)
	set := func(body string) {
		t.Helper()
		if status, text := s.ask(t, "PUT", "/api/members/bob", body, s.asPage(s.cookie)); status != 204 {
			t.Fatalf("%s: %d %s", body, status, text)
		}
	}
	set(`{"member":false}`)
	wantEnds(t, open, 3000, "reauth")
	for what, header := range map[string]http.Header{"the cookie": page, "the token": native} {
		answer, body := s.send(t, s.dial(t), wsPath, header)
		checkAnswer(t, answer, body, 403, "forbidden")
		if got := s.status(t, "/api/me", header); got != 200 {
			t.Errorf("%s at another route: %d, want 200", what, got)
		}
	}
	set(`{"member":true}`)
	_, _, _ = s.openAll(t, bob)
}

func TestDeviceOf(t *testing.T) {
	for userAgent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) " +
			"Chrome/140.0.0.0 Safari/537.36": "Chrome on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) " +
			"Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0": "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) " +
			"Version/18.5 Safari/605.1.15": "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) " +
			"CriOS/140.0.0.0 Mobile/15E148 Safari/604.1": "Chrome on iPhone",
		"Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0": "Firefox on Android",
		"Go-http-client/2.0": "The terminal client",
		"":                   "Unknown device",
		"curl/8.14.1":        "Unknown device",
	} {
		if got := deviceOf(userAgent); got != want {
			t.Errorf("%q: %q, want %q", userAgent, got, want)
		}
	}
}
