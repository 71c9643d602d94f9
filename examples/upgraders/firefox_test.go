package main

import (
	"bufio"
	"context"
	"encoding/base64"
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
)

// firefox is a headless Firefox with its own profile, driven by WebDriver BiDi
// (https://w3c.github.io/webdriver-bidi/).
type firefox struct {
	t       *testing.T
	conn    *websocket.Conn
	mu      sync.Mutex
	last    int                    // id of a command
	answers map[int]chan bidiFrame // of the commands under way
	logged  map[string][]string    // by browsing context
}

// bidiFrame is any message of the browser (WebDriver BiDi §3.4).
type bidiFrame struct {
	Type    string // "success", "error" or "event"
	ID      int
	Method  string
	Params  json.RawMessage
	Result  json.RawMessage
	Error   string
	Message string
}

// startFirefox starts the browser. If none is installed, the test is skipped; with
// SECUREWS_ALL=1 it fails.
func startFirefox(t *testing.T) browser {
	t.Helper()
	path := needed(t, "firefox-esr", "apt-get install -y firefox-esr")
	profile := t.TempDir()
	settings := `user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.normandy.enabled", false);
user_pref("browser.tabs.unloadOnLowMemory", false);
`
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
	f := &firefox{t: t, answers: map[int]chan bidiFrame{}, logged: map[string][]string{}}
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
	t.Cleanup(func() { f.stop(cmd, exited) })
	select {
	case url := <-address:
		f.connect(url)
	case <-exited:
		t.Fatal("Firefox ended before it listened")
	case <-time.After(patience):
		t.Fatal("Firefox does not listen")
	}
	return f
}

func (f *firefox) connect(url string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url+"/session", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	conn.SetReadLimit(-1) // a screenshot is one message
	f.conn = conn
	go f.read()
	always := map[string]any{"acceptInsecureCerts": true}
	f.must("session.new", map[string]any{"capabilities": map[string]any{"alwaysMatch": always}}, nil)
	f.must("session.subscribe", map[string]any{"events": []string{"log.entryAdded"}}, nil)
	f.must("script.addPreloadScript", map[string]any{"functionDeclaration": "() => {" + recorder + "}"}, nil)
}

func (f *firefox) stop(cmd *exec.Cmd, exited <-chan struct{}) {
	if f.conn != nil {
		_ = wsjson.Write(context.Background(), f.conn, map[string]any{"id": 0, "method": "browser.close", "params": struct{}{}})
	}
	select {
	case <-exited:
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Kill()
		<-exited
	}
}

// read passes answers to the commands and collects the console's entries.
func (f *firefox) read() {
	for {
		var m bidiFrame
		if err := wsjson.Read(context.Background(), f.conn, &m); err != nil {
			return // the browser has ended
		}
		f.mu.Lock()
		switch answer := f.answers[m.ID]; {
		case m.Type != "event" && answer != nil:
			answer <- m
			delete(f.answers, m.ID)
		case m.Method == "log.entryAdded":
			var e struct {
				Level, Text string
				Source      struct{ Context string }
			}
			_ = json.Unmarshal(m.Params, &e)
			if e.Level == "error" || e.Level == "warn" {
				f.logged[e.Source.Context] = append(f.logged[e.Source.Context], e.Level+": "+e.Text)
			}
		}
		f.mu.Unlock()
	}
}

// call sends a command and decodes its result, unless result is nil.
func (f *firefox) call(method string, params, result any) error {
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	answer := make(chan bidiFrame, 1)
	f.mu.Lock()
	f.last++
	id := f.last
	f.answers[id] = answer
	f.mu.Unlock()
	if err := wsjson.Write(ctx, f.conn, map[string]any{"id": id, "method": method, "params": params}); err != nil {
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

func (f *firefox) must(method string, params, result any) {
	f.t.Helper()
	if err := f.call(method, params, result); err != nil {
		f.t.Fatal(err)
	}
}

// firefoxTab is a page of the browser.
type firefoxTab struct {
	*firefox
	context string // its browsing context
}

func (f *firefox) open(url string) tab {
	f.t.Helper()
	var created struct{ Context string }
	f.must("browsingContext.create", map[string]any{"type": "tab"}, &created)
	f.must("browsingContext.navigate", map[string]any{"context": created.Context, "url": url, "wait": "complete"}, nil)
	return &firefoxTab{f, created.Context}
}

func (b *firefoxTab) evaluate(expression string) (string, error) {
	var out struct {
		Type             string
		Result           struct{ Value string }
		ExceptionDetails struct{ Text string }
	}
	err := b.call("script.evaluate", map[string]any{
		"expression": expression, "awaitPromise": true, "target": map[string]any{"context": b.context},
	}, &out)
	if err == nil && out.Type != "success" {
		err = fmt.Errorf("%s: %s", expression, out.ExceptionDetails.Text)
	}
	return out.Result.Value, err
}

func (b *firefoxTab) console() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.logged[b.context]...)
}

func (b *firefoxTab) screenshot() ([]byte, error) {
	var shot struct{ Data string }
	if err := b.call("browsingContext.captureScreenshot", map[string]any{"context": b.context}, &shot); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(shot.Data)
}
