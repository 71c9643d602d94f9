package console_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/internal/needed"
)

// marionette is a connection to Firefox. Its own protocol can read the whole console, in which
// the parsers of headers write; WebDriver sees the scripts of the page alone.
type marionette struct {
	conn net.Conn
	r    *bufio.Reader
	last int // id of a command
}

// startFirefox starts a headless Firefox with a profile of its own.
func startFirefox(t *testing.T) browser {
	t.Helper()
	needed.SameForServer(t, "Chromium")
	path := needed.Program(t, "firefox-esr", "apt-get install -y firefox-esr")
	profile := t.TempDir()
	settings := `user_pref("marionette.port", 0);
user_pref("browser.chrome.site_icons", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.normandy.enabled", false);
`
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless", "--no-remote", "--marionette", "--remote-allow-system-access", "--profile", profile)
	cmd.Env = append(os.Environ(), "HOME="+profile)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
	})
	m := dialMarionette(t, filepath.Join(profile, "MarionetteActivePort"), exited)
	t.Cleanup(func() { _ = m.conn.Close() })
	if _, err := m.call("WebDriver:NewSession", map[string]any{"acceptInsecureCerts": true}); err != nil {
		t.Fatal(err)
	}
	return m.open
}

// dialMarionette waits until Firefox has written the port that it listens on.
func dialMarionette(t *testing.T, file string, exited <-chan struct{}) *marionette {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; {
		port, err := os.ReadFile(file)
		if err == nil {
			conn, dialErr := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strings.TrimSpace(string(port))))
			if err = dialErr; err == nil {
				m := &marionette{conn: conn, r: bufio.NewReader(conn)}
				if _, err := m.read(); err != nil { // its greeting
					t.Fatal(err)
				}
				return m
			}
		}
		select {
		case <-exited:
			t.Fatal("Firefox ended before it listened")
		case <-tick.C:
			if time.Now().After(end) {
				t.Fatalf("Firefox does not listen: %v", err)
			}
		}
	}
}

// read returns one message: its length, a colon, and JSON.
func (m *marionette) read() (json.RawMessage, error) {
	_ = m.conn.SetDeadline(time.Now().Add(patience))
	length, err := m.r.ReadString(':')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
	if err != nil {
		return nil, err
	}
	text := make([]byte, n)
	_, err = io.ReadFull(m.r, text)
	return text, err
}

// call sends a command, as [0, id, name, parameters], and returns the result.
func (m *marionette) call(name string, parameters map[string]any) (json.RawMessage, error) {
	m.last++
	text, err := json.Marshal([]any{0, m.last, name, parameters})
	if err != nil {
		return nil, err
	}
	_ = m.conn.SetDeadline(time.Now().Add(patience)) // the last one may be over
	if _, err := fmt.Fprintf(m.conn, "%d:%s", len(text), text); err != nil {
		return nil, err
	}
	var answer [4]json.RawMessage // 1, id, error, result
	text, err = m.read()
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err == nil && string(answer[2]) != "null" {
		err = fmt.Errorf("%s: %s", name, answer[2])
	}
	return answer[3], err
}

// consoleOf returns the warnings and errors that name the address, and those of policies.
const consoleOf = `const [url] = arguments;
return Services.console.getMessageArray().flatMap((m) => {
	if (!(m instanceof Ci.nsIScriptError)) return [];
	const about = m.sourceName.startsWith(url) || m.category.startsWith("CSP") || /HSTS|Security|Policy/.test(m.category);
	return about ? [m.category + ": " + m.errorMessage] : [];
});`

func (m *marionette) open(url string) ([]string, error) {
	_, err := m.call("Marionette:SetContext", map[string]any{"value": "chrome"})
	for _, step := range []struct {
		name       string
		parameters map[string]any
	}{
		{"WebDriver:ExecuteScript", map[string]any{"script": "Services.console.reset()", "args": []string{}}},
		{"Marionette:SetContext", map[string]any{"value": "content"}},
		{"WebDriver:Navigate", map[string]any{"url": url}},
		{"Marionette:SetContext", map[string]any{"value": "chrome"}},
	} {
		if err == nil {
			_, err = m.call(step.name, step.parameters)
		}
	}
	if err != nil {
		return nil, err
	}
	result, err := m.call("WebDriver:ExecuteScript", map[string]any{"script": consoleOf, "args": []string{url}})
	var console struct{ Value []string }
	if err == nil {
		err = json.Unmarshal(result, &console)
	}
	return console.Value, err
}
