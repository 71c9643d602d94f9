package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/examples/internal/pages"
)

// chat starts the command of examples/chat behind the proxy, and returns alice's password. It
// waits for the announcement, which comes after the program listens.
func (p *proxy) chat(t *testing.T, command, network string) (password string) {
	t.Helper()
	p.network = network
	args := []string{"-origin", "https://app.example", "-accounts", "alice"}
	if network == "unix" {
		p.service = filepath.Join(p.dir, "chat.sock")
		args = append(args, "-behind", "unix", "-addr", "unix:"+p.service)
	} else {
		args = append(args, "-behind", "127.0.0.1", "-addr", "127.0.0.1:0")
	}
	said := ""
	pages.Serve(t, func(line string) bool {
		said += line + "\n"
		return strings.Contains(line, "docs/deploy.md")
	}, command, args...)
	account := regexp.MustCompile(`alice\s+(\S+)`).FindStringSubmatch(said)
	address := regexp.MustCompile(`HTTP/1\.1 without TLS to (\S+),`).FindStringSubmatch(said)
	if account == nil || address == nil {
		t.Fatalf("the chat said:\n%s", said)
	}
	for _, expected := range []string{"https://app.example", "keep Host, which is app.example", "X-Forwarded-Proto", "X-Forwarded-For"} {
		if !strings.Contains(said, expected) {
			t.Errorf("the chat does not say %q", expected)
		}
	}
	p.service = address[1]
	return account[1]
}

// The chat behind each proxy: a user signs in, opens a socket, and signs out.
func TestChat(t *testing.T) {
	command := pages.Build(t, filepath.Join("..", "chat"))
	each(t, func(t *testing.T, f front, network string) {
		p := newProxy(t)
		password := p.chat(t, command, network)
		f.start(t, p, nil)
		client := p.client(t, "127.0.0.2", true)
		login := `{"user":"alice","password":"` + password + `"}`

		res := p.post(t, client, "http://app.example/login", login, http.Header{"X-Forwarded-Proto": {"https"}})
		if res.StatusCode != http.StatusForbidden || reason(t, res) != "tls_required" {
			t.Errorf("a sign-in without TLS: %s, want 403 tls_required", res.Status)
		}
		if got := res.Header.Get("Strict-Transport-Security"); got != "" { // RFC 6797 §7.2
			t.Errorf("Strict-Transport-Security without TLS: %q", got)
		}

		res = p.post(t, client, "https://app.example/login", login, nil)
		cookies := res.Cookies()
		if res.StatusCode != http.StatusOK || len(cookies) != 1 {
			t.Fatalf("a sign-in: %s, %d cookies", res.Status, len(cookies))
		}
		if c := cookies[0]; c.Name != "__Host-session" || !c.Secure || !c.HttpOnly { // RFC 6265bis §4.1.3.2
			t.Errorf("the cookie: %s", c)
		}
		if got := res.Header.Get("Strict-Transport-Security"); !strings.HasPrefix(got, "max-age=") {
			t.Errorf("Strict-Transport-Security %q", got)
		}
		cookie := http.Header{"Cookie": {cookies[0].Name + "=" + cookies[0].Value}}
		p.hasDevice(t, client, cookie)

		page := browser()
		page.Set("Cookie", cookie.Get("Cookie"))
		c, err := p.socket(t, "/ws", page)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, _, err := c.Read(ctx); err != nil { // the welcome
			t.Fatal(err)
		}
		if res := p.post(t, client, "https://app.example/logout", "", cookie); res.StatusCode != http.StatusNoContent {
			t.Errorf("a sign-out: %s", res.Status)
		}
		_, _, err = c.Read(ctx)
		var ended websocket.CloseError
		if !errors.As(err, &ended) || ended.Code != 3000 || ended.Reason != "revoked" {
			t.Errorf("the socket after the sign-out: %v, want 3000 revoked", err)
		}
		if _, err := p.socket(t, "/ws", page); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("a socket after the sign-out: %v, want 401", err)
		}
	})
}

// hasDevice wants the list of devices to have the address of the client, not of the proxy.
func (p *proxy) hasDevice(t *testing.T, client *http.Client, cookie http.Header) {
	t.Helper()
	res := p.send(t, client, "GET", "https://app.example/api/devices", cookie)
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(body), `"127.0.0.2"`) {
		t.Errorf("the devices: %s %s, %v; want the address 127.0.0.2", res.Status, body, err)
	}
}

func (p *proxy) post(t *testing.T, c *http.Client, url, body string, h http.Header) *http.Response {
	t.Helper()
	req := request(t, "POST", url, h)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", "https://app.example")
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	return answer(t, c, req)
}

// reason returns that of a refusal.
func reason(t *testing.T, res *http.Response) string {
	t.Helper()
	var problem struct{ Reason string }
	if err := json.NewDecoder(res.Body).Decode(&problem); err != nil {
		t.Error(err)
	}
	return problem.Reason
}
