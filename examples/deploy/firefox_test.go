package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// firefox is the connection to a headless Firefox, by WebDriver BiDi
// (https://w3c.github.io/webdriver-bidi/). One command is under way at a time.
type firefox struct {
	conn *websocket.Conn
	last int // id of a command
}

// startFirefox starts a Firefox with a profile of its own, for which app.example is this
// machine.
func startFirefox(t *testing.T) opener {
	t.Helper()
	path := installed(t, "firefox-esr")
	profile := t.TempDir()
	settings := `user_pref("network.dns.localDomains", "app.example");
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.normandy.enabled", false);
`
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", profile)
	cmd.Env = append(os.Environ(), "HOME="+profile)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	exited, address := make(chan struct{}), make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if _, url, found := strings.Cut(lines.Text(), "WebDriver BiDi listening on "); found {
				address <- url
			}
		}
		_ = cmd.Wait()
		close(exited)
	}()
	f := &firefox{}
	t.Cleanup(func() { f.stop(cmd, exited) })
	select {
	case url := <-address:
		f.connect(t, url)
	case <-exited:
		t.Fatal("Firefox ended before it listened")
	case <-time.After(patience):
		t.Fatal("Firefox does not listen")
	}
	return f.open
}

func (f *firefox) connect(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url+"/session", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	f.conn = conn
	always := map[string]any{"acceptInsecureCerts": true}
	if err := f.call("session.new", map[string]any{"capabilities": map[string]any{"alwaysMatch": always}}, nil); err != nil {
		t.Fatal(err)
	}
}

// stop asks the browser to end, so that its child processes end with it.
func (f *firefox) stop(cmd *exec.Cmd, exited <-chan struct{}) {
	if f.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = wsjson.Write(ctx, f.conn, map[string]any{"id": 0, "method": "browser.close", "params": struct{}{}})
	}
	select {
	case <-exited:
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Kill()
		<-exited
	}
}

// call sends a command and decodes its result, unless result is nil. Events are skipped.
func (f *firefox) call(method string, params, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	f.last++
	if err := wsjson.Write(ctx, f.conn, map[string]any{"id": f.last, "method": method, "params": params}); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	for {
		var m struct {
			Type           string // "success", "error" or "event"
			ID             int
			Result         json.RawMessage
			Error, Message string
		}
		if err := wsjson.Read(ctx, f.conn, &m); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		switch {
		case m.Type == "event" || m.ID != f.last:
			continue
		case m.Type != "success":
			return fmt.Errorf("%s: %s: %s", method, m.Error, m.Message)
		case result == nil:
			return nil
		}
		return json.Unmarshal(m.Result, result)
	}
}

func (f *firefox) open(url string) (func(string) (string, error), error) {
	var tab struct{ Context string }
	if err := f.call("browsingContext.create", map[string]any{"type": "tab"}, &tab); err != nil {
		return nil, err
	}
	evaluate := func(expression string) (string, error) {
		var out struct {
			Type             string
			Result           struct{ Value string }
			ExceptionDetails struct{ Text string }
		}
		err := f.call("script.evaluate", map[string]any{
			"expression": expression, "awaitPromise": true, "target": map[string]any{"context": tab.Context},
		}, &out)
		if err == nil && out.Type != "success" {
			err = fmt.Errorf("%s: %s", expression, out.ExceptionDetails.Text)
		}
		return out.Result.Value, err
	}
	return evaluate, f.call("browsingContext.navigate", map[string]any{"context": tab.Context, "url": url, "wait": "complete"}, nil)
}
