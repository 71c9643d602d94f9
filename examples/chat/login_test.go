package main

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestAccounts(t *testing.T) {
	a, passwords, err := newAccounts([]string{"alice", "bob"}, 1000, state{})
	if err != nil {
		t.Fatal(err)
	}
	if len(passwords) != 2 || passwords[0] == passwords[1] {
		t.Fatalf("passwords: %q", passwords)
	}
	if !regexp.MustCompile(`^[a-z2-7]{4}(-[a-z2-7]{4}){3}$`).MatchString(passwords[0]) {
		t.Errorf("a password that is hard to type: %q", passwords[0])
	}
	cases := []struct {
		name, user, password string
		want                 bool
	}{
		{"the right password", "alice", passwords[0], true},
		{"another account's password", "alice", passwords[1], false},
		{"an unknown account", "mallory", passwords[0], false},
		{"none at all", "alice", "", false},
		{"a very long one", "alice", strings.Repeat("a", 1<<20), false},
	}
	for _, c := range cases {
		if got, err := a.verify(t.Context(), c.user, c.password); err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
	}
	for _, names := range [][]string{nil, {""}, {"alice", "alice"}, {"Alice"}, {"a b"}, {"<script>"}} {
		if _, _, err := newAccounts(names, 1000, state{}); err == nil {
			t.Errorf("accounts named %q are made", names)
		}
	}
}

func TestLogin(t *testing.T) {
	s := startSite(t, generous)
	long := `{"user":"alice","password":"` + strings.Repeat("x", maxBody) + `"}`
	cases := []struct {
		name, kind, body, origin string
		status                   int
		reason                   string
	}{
		{
			name: "a wrong password", kind: "application/json",
			body: `{"user":"alice","password":"x"}`, origin: s.origin, status: 401, reason: "wrong_password",
		},
		{
			name: "an account that does not exist is answered the same", kind: "application/json",
			body: `{"user":"mallory","password":"x"}`, origin: s.origin, status: 401, reason: "wrong_password",
		},
		{
			name: "a form of another site", kind: "application/x-www-form-urlencoded",
			body: "user=alice", origin: "https://evil.example", status: 403, reason: "origin_not_allowed",
		},
		{
			name: "a form of our own", kind: "text/plain", body: `{"user":"alice","password":"x"}`,
			origin: s.origin, status: 415, reason: "json_expected",
		},
		{
			name: "a field that is not known", kind: "application/json",
			body: `{"user":"alice","password":"x","admin":true}`, origin: s.origin, status: 400, reason: "bad_json",
		},
		{
			name: "two objects", kind: "application/json", body: `{"user":"alice","password":"x"}{}`,
			origin: s.origin, status: 400, reason: "bad_json",
		},
		{name: "a body too long", kind: "application/json", body: long, origin: s.origin, status: 400, reason: "bad_json"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			answer, body := s.login(t, c.kind, c.body, c.origin)
			checkAnswer(t, answer, body, c.status, c.reason)
		})
	}
}

func (s *site) login(t *testing.T, kind, body, origin string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.origin+"/login", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Origin", origin)
	answer, err := insecure().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(answer.Body)
	return answer, string(text)
}

func TestLoginsAreLimited(t *testing.T) {
	s := startSite(t, bounds{handshakesPerMinute: 1, loginsPerMinute: 3}) // alice's own was the first
	for range 2 {
		answer, body := s.login(t, "application/json", `{"user":"bob","password":"x"}`, s.origin)
		checkAnswer(t, answer, body, 401, "wrong_password")
	}
	answer, body := s.login(t, "application/json", `{"user":"bob","password":"x"}`, s.origin)
	checkAnswer(t, answer, body, 429, "rate_limited")
}

func TestOptions(t *testing.T) {
	bad := [][]string{
		{"surplus"},
		{"-cert", "x"},
		{"-key", "x"},
		{"-handshakes-per-minute", "0"},
		{"-logins-per-minute", "-1"},
		{"-drain", "-1s"},
		{"-unknown"},
		{"-behind", "127.0.0.1"}, // without -origin
		{"-origin", "https://a.example", "-behind", "proxy.example"}, // a name
		{"-origin", "https://a.example", "-behind", "0.0.0.0/0"},
		{"-origin", "https://a.example", "-behind", "127.0.0.1", "-cert", "x", "-key", "x"},
		{"-origin", "https://a.example", "-behind", "127.0.0.1", "-addr", "0.0.0.0:8080"}, // passwords would cross the network in the clear
		{"-origin", "https://a.example", "-behind", "127.0.0.1", "-addr", ":8080"},
		{"-origin", "https://a.example", "-behind", "127.0.0.1", "-addr", "unix:/tmp/chat.sock"},
		{"-origin", "https://a.example", "-behind", "unix"},
		{"-origin", "https://a.example", "-behind", "unix", "-addr", "unix:"},
		{"-origin", "https://a.example", "-behind", "unix, 127.0.0.1", "-addr", "unix:/tmp/chat.sock"},
		{"-addr", "unix:/tmp/chat.sock"},                             // without -behind
		{"-redis", "127.0.0.1:6379", "-origin", "https://a.example"}, // without -secret: other passwords on each node
		{"-redis", "127.0.0.1:6379", "-secret", "x"},
		{"-redis", "redis://127.0.0.1", "-secret", "x", "-origin", "https://a.example"},
	}
	for _, args := range bad {
		if _, err := parseOptions(args, io.Discard); err == nil {
			t.Errorf("%q passes", args)
		}
	}
	o, err := parseOptions([]string{"-origin", "https://a.example, https://b.example:8443"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	names, err := hosts(o.origins)
	if err != nil || strings.Join(names, " ") != "a.example b.example:8443" {
		t.Errorf("hosts %q, %v", names, err)
	}
	for _, row := range []struct {
		args []string
		addr string
	}{
		{nil, "localhost:8443"},
		{[]string{"-behind", "127.0.0.1"}, "127.0.0.1:8080"}, // the one of docs/deploy.md
		{[]string{"-behind", "127.0.0.1, ::1", "-addr", "[::1]:9000"}, "[::1]:9000"},
		{[]string{"-behind", "unix", "-addr", "unix:/run/chat.sock"}, "unix:/run/chat.sock"},
	} {
		o, err := parseOptions(append(row.args, "-origin", "https://a.example"), io.Discard)
		if err != nil || o.addr != row.addr {
			t.Errorf("%q: %s, %v; want %s", row.args, o.addr, err, row.addr)
		}
	}
}
