package redial_test

import (
	"bufio"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/needed"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
)

// Show 3, with real sockets: the client against other servers, and other clients against
// the library's server.

// browserModule is the directory of the pinned npm packages.
const browserModule = "../browser"

// node returns the program, and the directory below which ws is found.
func node(t *testing.T) (program, dir string) {
	t.Helper()
	dir, err := filepath.Abs(browserModule)
	must(t, err)
	program = needed.Program(t, "node", "apt-get install -y nodejs npm")
	needed.NodeModule(t, dir, "ws/browser", "ws")
	return program, dir
}

func python(t *testing.T) string {
	t.Helper()
	const install = "apt-get install -y python3-websockets"
	needed.Program(t, "python3", install)
	for _, program := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), program, "-c", "import websockets").Run() == nil {
			return program
		}
	}
	needed.Missing(t, "python3-websockets", install)
	return ""
}

var closeWord = regexp.MustCompile(`^close (\d+) (.*)$`)

// coderServer does what testdata/ws-server.mjs does. The module internal/interop has the same
// with gorilla/websocket.
func coderServer(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"chat.v1"}})
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	ctx := context.Background()
	for {
		typ, p, err := c.Read(ctx)
		if err != nil {
			return
		}
		text := string(p)
		switch m := closeWord.FindStringSubmatch(text); {
		case m != nil:
			code, _ := strconv.Atoi(m[1])
			_ = c.Close(websocket.StatusCode(code), m[2])
		case text == "close":
			_ = c.Close(websocket.StatusNoStatusRcvd, "")
		case text == "drop":
			return
		case text == "ping":
			go func() {
				if c.Ping(ctx) == nil {
					_ = c.Write(ctx, websocket.MessageText, []byte("pong x"))
				}
			}()
		case text == "who":
			_ = c.Write(ctx, typ, []byte(r.Header.Get("Authorization")))
		case text == "fragments":
			part, _ := c.Writer(ctx, typ)
			for _, s := range []string{"frag", "men", "ts"} {
				_, _ = part.Write([]byte(s))
			}
			_ = part.Close()
		default:
			_ = c.Write(ctx, typ, p)
		}
	}
}

func TestClientAgainstTheServersOfOthers(t *testing.T) {
	overTLS := func(h http.HandlerFunc) func(*testing.T) redial.Config {
		return func(t *testing.T) redial.Config {
			s := httptest.NewTLSServer(h)
			t.Cleanup(s.Close)
			return redial.Config{URL: "wss" + strings.TrimPrefix(s.URL, "https"), HTTPClient: s.Client()}
		}
	}
	for name, server := range map[string]func(*testing.T) redial.Config{
		"coder/websocket": overTLS(coderServer), "npm ws": npmServer,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := server(t)
			cfg.Subprotocols = []string{"chat.v1"}
			cfg.Credential = give(redial.BearerToken("t"))
			cfg.Backoff = redial.Backoff{Min: time.Millisecond, Max: time.Millisecond, Spread: time.Millisecond}
			visit(t, cfg)
		})
	}
}

func npmServer(t *testing.T) redial.Config {
	program, dir := node(t)
	cmd := exec.CommandContext(t.Context(), program, filepath.Join("testdata", "ws-server.mjs"), dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	must(t, err)
	return redial.Config{URL: "ws://127.0.0.1:" + strings.TrimSpace(port), DangerouslyAllowLocalHTTP: true}
}

// visit asks the server to end each connection in another way, and reconnects until Run
// ends.
func visit(t *testing.T, cfg redial.Config) {
	ends := []struct {
		say  string
		code websocket.StatusCode
	}{
		{"drop", 1006},
		{"close 1012 restart", 1012},
		{"close 1001 away", 1001},
		{"close 1013 later", 1013},
		{"close 3000 expired", 3000},
		{"drop", 1006},
		{"close 4000 moved", 4000},
		{"close", 1005},
		{"close 1000 bye", 1000},
	}
	cfg.RetryCodes = []websocket.StatusCode{4000, 1005}
	c, err := redial.New(cfg)
	must(t, err)
	visits := 0
	err = c.Run(t.Context(), func(_ context.Context, c *redial.Conn) error {
		end := ends[visits]
		visits++
		if c.Subprotocol() != "chat.v1" {
			t.Errorf("subprotocol %q", c.Subprotocol())
		}
		if err := converse(c); err != nil {
			t.Error(err)
			return redial.Permanent(err)
		}
		must(t, c.Write(websocket.MessageText, []byte(end.say)))
		_, _, err := c.Read()
		var closed *ws.CloseError
		if !errors.As(err, &closed) || closed.Code != end.code {
			t.Errorf("after %q: %v, want %d", end.say, err, end.code)
		}
		return err
	})
	var closed *ws.CloseError
	if !errors.As(err, &closed) || closed.Code != 1000 || visits != len(ends) {
		t.Errorf("Run: %v after %d of %d visits", err, visits, len(ends))
	}
}

// converse sends one message of each kind.
func converse(c *redial.Conn) error {
	for _, m := range []struct {
		typ       websocket.MessageType
		say, want string
	}{
		{websocket.MessageText, "hello, wörld", "hello, wörld"},
		{websocket.MessageText, "", ""},
		{websocket.MessageText, "who", "Bearer t"},
		{websocket.MessageText, "ping", "pong x"},
		{websocket.MessageText, "fragments", "fragments"},
		{websocket.MessageBinary, strings.Repeat("\x00\xff", 10_000), strings.Repeat("\x00\xff", 10_000)},
	} {
		if err := c.Write(m.typ, []byte(m.say)); err != nil {
			return fmt.Errorf("%.20q: %w", m.say, err)
		}
		typ, p, err := c.Read()
		if err != nil || typ != m.typ || string(p) != m.want {
			return fmt.Errorf("%.20q: answered %v %.20q %w", m.say, typ, p, err)
		}
	}
	return nil
}

// ours is the library's server on a real socket, and the file with its certificate.
func ours(t *testing.T) (url, ca string) {
	h := handler(t, ws.Config{Subprotocols: []string{"chat.v1"}, Serve: func(_ context.Context, c *ws.Conn) error {
		for {
			typ, p, err := c.Read()
			if err != nil {
				return err
			}
			if string(p) == "restart" {
				return ws.ErrDraining
			}
			if err := c.Write(typ, p); err != nil {
				return err
			}
		}
	}})
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	return "wss" + strings.TrimPrefix(s.URL, "https") + "/", ca
}

func TestServerAgainstTheClientsOfOthers(t *testing.T) {
	for name, command := range map[string]func(t *testing.T) []string{
		"npm ws": func(t *testing.T) []string {
			program, dir := node(t)
			return []string{program, filepath.Join("testdata", "ws-client.mjs"), dir}
		},
		"python3-websockets": func(t *testing.T) []string {
			return []string{python(t), filepath.Join("testdata", "client.py")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := command(t)
			url, ca := ours(t)
			out, err := exec.CommandContext(t.Context(), args[0], append(args[1:], url, ca)...).CombinedOutput()
			if err != nil || !strings.HasSuffix(string(out), "ok\n") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
