// Package firefox drives a headless Firefox in tests, by WebDriver BiDi
// (https://w3c.github.io/webdriver-bidi/).
package firefox

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/securews/securews/internal/needed"
)

// Install is the command that installs the browser.
const Install = "apt-get install -y firefox-esr"

// patience bounds one command.
const patience = time.Minute

// preferences keep the browser from asking questions, and from requests of its own.
const preferences = `user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.normandy.enabled", false);
user_pref("browser.tabs.unloadOnLowMemory", false);
`

// Browser is a Firefox with a profile of its own, which accepts every certificate.
type Browser struct {
	t       testing.TB
	conn    *websocket.Conn
	mu      sync.Mutex
	last    int                // id of a command
	answers map[int]chan frame // of the commands under way
	logged  map[string][]string
}

// frame is any message of the browser (WebDriver BiDi §3.4).
type frame struct {
	Type    string // "success", "error" or "event"
	ID      int
	Method  string
	Params  json.RawMessage
	Result  json.RawMessage
	Error   string
	Message string
}

// Start starts the browser, with further lines of user.js, until the end of the test.
func Start(t testing.TB, lines ...string) *Browser {
	t.Helper()
	path := needed.Program(t, "firefox-esr", Install)
	profile := t.TempDir()
	settings := preferences + strings.Join(lines, "\n")
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", profile)
	cmd.Env = append(os.Environ(), "HOME="+profile, "MOZ_HEADLESS_WIDTH=1100", "MOZ_HEADLESS_HEIGHT=800")
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	b := &Browser{t: t, answers: map[int]chan frame{}, logged: map[string][]string{}}
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
	t.Cleanup(func() { b.stop(cmd, exited) })
	select {
	case url := <-address:
		b.connect(url)
	case <-exited:
		t.Fatal("Firefox ended before it listened")
	case <-time.After(patience):
		t.Fatal("Firefox does not listen")
	}
	return b
}

func (b *Browser) connect(url string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url+"/session", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	conn.SetReadLimit(-1) // a screenshot is one message
	b.conn = conn
	go b.read()
	always := map[string]any{"acceptInsecureCerts": true}
	b.must("session.new", map[string]any{"capabilities": map[string]any{"alwaysMatch": always}}, nil)
	b.must("session.subscribe", map[string]any{"events": []string{"log.entryAdded"}}, nil)
}

// stop has the browser end by itself, so that its child processes end with it.
func (b *Browser) stop(cmd *exec.Cmd, exited <-chan struct{}) {
	if b.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = wsjson.Write(ctx, b.conn, map[string]any{"id": 0, "method": "browser.close", "params": struct{}{}})
	}
	select {
	case <-exited:
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Kill()
		<-exited
	}
}

// read passes answers to the commands and collects the entries of the console.
func (b *Browser) read() {
	for {
		var m frame
		if err := wsjson.Read(context.Background(), b.conn, &m); err != nil {
			return // the browser has ended
		}
		b.mu.Lock()
		switch answer := b.answers[m.ID]; {
		case m.Type != "event" && answer != nil:
			answer <- m
			delete(b.answers, m.ID)
		case m.Method == "log.entryAdded":
			b.log(m.Params)
		}
		b.mu.Unlock()
	}
}

func (b *Browser) log(params json.RawMessage) {
	var e struct {
		Level, Text string
		Source      struct{ Context string }
	}
	_ = json.Unmarshal(params, &e)
	if e.Level == "error" || e.Level == "warn" {
		b.logged[e.Source.Context] = append(b.logged[e.Source.Context], e.Level+": "+e.Text)
	}
}

// call sends a command and decodes its result, unless result is nil.
func (b *Browser) call(method string, params, result any) error {
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	answer := make(chan frame, 1)
	b.mu.Lock()
	b.last++
	id := b.last
	b.answers[id] = answer
	b.mu.Unlock()
	if err := wsjson.Write(ctx, b.conn, map[string]any{"id": id, "method": method, "params": params}); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case m := <-answer:
		if m.Type != "success" {
			return fmt.Errorf("%s: %s: %s", method, m.Error, m.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(m.Result, result)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

func (b *Browser) must(method string, params, result any) {
	b.t.Helper()
	if err := b.call(method, params, result); err != nil {
		b.t.Fatal(err)
	}
}
