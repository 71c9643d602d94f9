package docs

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/needed"
)

const quickAddress = "localhost:8443"

// program is one of the quick start, with another port, while it runs.
type program struct {
	origin string
	said   *bufio.Reader // its standard output
	cmd    *exec.Cmd
	http.Client
}

// start builds a program of the page, and runs it beside a certificate made as the page says.
func start(t *testing.T, heading string) *program {
	t.Helper()
	needed.WithoutRace(t)
	_, section, found := strings.Cut(pages(t)["docs/quickstart.md"].text, "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/quickstart.md has no section %q", heading)
	}
	_, text, _ := strings.Cut(section, "\n```go\n")
	text, _, _ = strings.Cut(text, "```\n")
	dir := t.TempDir()
	addr := freeAddress(t)
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte(strings.ReplaceAll(text, quickAddress, addr)), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "service")
	run(t, root(t), "go", "build", "-o", binary, source)
	goroot := strings.TrimSpace(run(t, dir, "go", "env", "GOROOT"))
	run(t, dir, "go", "run", filepath.Join(goroot, "src/crypto/tls/generate_cert.go"), "--host", "localhost")

	p := &program{origin: "https://" + addr, cmd: exec.CommandContext(t.Context(), binary)}
	p.cmd.Dir, p.cmd.Stderr = dir, t.Output()
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.said = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(os.Interrupt)
		if err := p.cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	p.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // made just now
	return p
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	return "localhost:" + port
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			t.Logf("%s", failed.Stderr)
		}
		t.Fatalf("%s: %v", cmd, err)
	}
	return string(out)
}

// ask retries while the program does not listen yet.
func (p *program) ask(t *testing.T, method, path, cookie, authorization string, form url.Values) (*http.Response, string) {
	t.Helper()
	for {
		r, err := http.NewRequestWithContext(t.Context(), method, p.origin+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", p.origin)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if cookie != "" {
			r.Header.Set("Cookie", cookie)
		}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		resp, err := p.Do(r)
		if err != nil {
			if t.Context().Err() != nil {
				t.Fatal(err)
			}
			continue
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp, string(body)
	}
}

func (p *program) dial(t *testing.T, header http.Header) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), p.origin+"/ws", &websocket.DialOptions{HTTPClient: &p.Client, HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, message, err := c.Read(t.Context()); err != nil || string(message) != "hello" {
		t.Fatalf("%q, %v", message, err)
	}
	return c
}

func wantEnd(t *testing.T, c *websocket.Conn, code websocket.StatusCode, reason string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, _, err := c.Read(ctx)
	var e websocket.CloseError
	if !errors.As(err, &e) || e.Code != code || e.Reason != reason {
		t.Errorf("the socket ended with %v, want %d %s", err, code, reason)
	}
}

var printedPassword = regexp.MustCompile(`password (\S+)\n`)

// The first program: a wrong password is refused, the right one opens a socket, and logout ends it.
func TestQuickStartWithALogin(t *testing.T) {
	t.Parallel()
	p := start(t, "A page with a login, on chi")
	line, err := p.said.ReadString('\n')
	found := printedPassword.FindStringSubmatch(line)
	if err != nil || found == nil {
		t.Fatalf("%q, %v", line, err)
	}
	resp, page := p.ask(t, "GET", "/", "", "", nil)
	_, nonce, _ := strings.Cut(page, `type="module" nonce="`)
	nonce, _, _ = strings.Cut(nonce, `"`)
	if resp.StatusCode != 200 || nonce == "" || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "'nonce-"+nonce+"'") {
		t.Errorf("the page: %s, nonce %q, %q", resp.Status, nonce, resp.Header.Get("Content-Security-Policy"))
	}
	// HTML §4.10.22.3: such a form, outside of a dialog, is not submitted by a click before the script has loaded.
	if !strings.Contains(page, `<form method="dialog">`) {
		t.Errorf("the form can send the password in the URL: %s", page)
	}
	if resp, _ := p.ask(t, "GET", "/securews/securews.js", "", "", nil); resp.StatusCode != 200 {
		t.Errorf("the client of the page: %s", resp.Status)
	}
	wrong := url.Values{"user": {"alice"}, "password": {"wrong"}}
	if resp, body := p.ask(t, "POST", "/login", "", "", wrong); resp.StatusCode != 401 || !strings.Contains(body, "wrong_password") {
		t.Errorf("a wrong password: %s %s", resp.Status, body)
	}
	resp, _ = p.ask(t, "POST", "/login", "", "", url.Values{"user": {"alice"}, "password": {found[1]}})
	cookies := resp.Cookies()
	if resp.StatusCode != 200 || len(cookies) != 1 {
		t.Fatalf("login: %s, %v", resp.Status, cookies)
	}
	cookie := cookies[0].Name + "=" + cookies[0].Value
	if resp, body := p.ask(t, "GET", "/api/me", cookie, "", nil); resp.StatusCode != 200 || body != "alice\n" {
		t.Errorf("/api/me: %s %q", resp.Status, body)
	}
	c := p.dial(t, http.Header{"Origin": {p.origin}, "Cookie": {cookie}})
	if resp, _ := p.ask(t, "POST", "/logout", cookie, "", nil); resp.StatusCode != 200 {
		t.Errorf("logout: %s", resp.Status)
	}
	wantEnd(t, c, 3000, "revoked")
}

// The second program: a token opens a socket, none does not, and a signal ends it with 1012.
func TestQuickStartWithTokens(t *testing.T) {
	t.Parallel()
	p := start(t, "An API with access tokens, on ServeMux")
	line, err := p.said.ReadString('\n')
	token, found := strings.CutPrefix(strings.TrimSpace(line), "TOKEN=")
	if err != nil || !found {
		t.Fatalf("%q, %v", line, err)
	}
	if resp, _ := p.ask(t, "GET", "/api/me", "", "", nil); resp.StatusCode != 401 {
		t.Errorf("without a token: %s", resp.Status)
	}
	if resp, body := p.ask(t, "GET", "/api/me", "", "Bearer "+token, nil); resp.StatusCode != 200 || body != "alice [read]\n" {
		t.Errorf("/api/me: %s %q", resp.Status, body)
	}
	c := p.dial(t, http.Header{"Authorization": {"Bearer " + token}})
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, c, 1012, "restart")
}
