package browser_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// patience bounds one step of a page.
const patience = time.Minute

// remote controls a browser, by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/) or the
// Chrome DevTools Protocol. One command is under way at a time.
type remote struct {
	t    *testing.T
	conn *websocket.Conn
	last int // id of a command
}

// begin starts a browser and returns the address at which it takes commands. When the test ends,
// it waits for the end of the browser, which is killed after a while.
func begin(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	stderr := must(cmd.StderrPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited, address := make(chan struct{}), make(chan string, 1)
	go func() {
		defer close(exited)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if _, url, found := strings.Cut(lines.Text(), " listening on "); found {
				select {
				case address <- url:
				default:
				}
			}
		}
		_, _ = io.Copy(io.Discard, stderr) // its children inherit the pipe: they have closed the profile
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		select {
		case <-exited:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			<-exited
		}
	})
	select {
	case url := <-address:
		return url
	case <-exited:
		t.Fatal("the browser ended before it listened")
	case <-time.After(patience):
		t.Fatal("the browser does not listen")
	}
	return ""
}

// dialRemote connects to a browser, or to a page of it. The test ends the browser by the command end.
func dialRemote(t *testing.T, url, end string) *remote {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = wsjson.Write(ctx, conn, options{"id": 0, "method": end, "params": options{}})
	})
	return &remote{t: t, conn: conn}
}

// do sends a command and decodes its result, unless result is nil. Events are skipped.
func (r *remote) do(method string, params options, result any) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	r.last++
	if params == nil {
		params = options{}
	}
	if err := wsjson.Write(ctx, r.conn, options{"id": r.last, "method": method, "params": params}); err != nil {
		r.t.Fatalf("%s: %v", method, err)
	}
	for {
		var m struct {
			ID            int
			Result, Error json.RawMessage
			Message       string
		}
		if err := wsjson.Read(ctx, r.conn, &m); err != nil {
			r.t.Fatalf("%s: %v", method, err)
		}
		if m.ID != r.last {
			continue
		}
		if m.Error != nil {
			r.t.Fatalf("%s: %s %s", method, m.Error, m.Message)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				r.t.Fatalf("%s: %v", method, err)
			}
		}
		return
	}
}

// evaluate returns the value of an expression in the page of a Chromium. It waits for a promise.
func (r *remote) evaluate(expression string) string {
	r.t.Helper()
	var got struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	r.do("Runtime.evaluate", options{"expression": expression, "awaitPromise": true, "returnByValue": true}, &got)
	if got.ExceptionDetails != nil {
		r.t.Fatalf("%s: %s", expression, got.ExceptionDetails)
	}
	return string(got.Result.Value)
}

// pageOf connects to the page of a Chromium that takes commands at an address, once it has one.
func pageOf(t *testing.T, address string) *remote {
	t.Helper()
	host, _, _ := strings.Cut(strings.TrimPrefix(address, "ws://"), "/")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); ; {
		for _, target := range targetsOf(t, "http://"+host+"/json/list") {
			if target.Type == "page" {
				return dialRemote(t, target.WebSocketDebuggerURL, "Browser.close")
			}
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the browser has no page")
		}
	}
}

// target is a part of a Chromium that takes commands.
type target struct{ Type, WebSocketDebuggerURL string }

func targetsOf(t *testing.T, list string) (targets []target) {
	t.Helper()
	req := must(http.NewRequestWithContext(t.Context(), http.MethodGet, list, nil))(t)
	res := must(http.DefaultClient.Do(req))(t)
	defer func() { _ = res.Body.Close() }()
	if err := json.NewDecoder(res.Body).Decode(&targets); err != nil {
		t.Fatal(err)
	}
	return targets
}
