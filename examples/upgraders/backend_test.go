package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/internal/needed"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
)

// process is a backend that runs for a test.
type process struct {
	upgrader
	deflates bool
	command  func(t *testing.T) *exec.Cmd
}

var processes = []process{
	{upgrader{path: "/node", name: "Node"}, false, func(t *testing.T) *exec.Cmd {
		return exec.CommandContext(t.Context(), needed.Program(t, "node", "apt-get install -y nodejs"), "-e", nodeScript)
	}},
	{upgrader{path: "/node-ws", name: "Node with ws"}, true, func(t *testing.T) *exec.Cmd {
		const modules = "../../ws/browser"
		needed.File(t, modules+"/node_modules/ws/package.json", "npm ci --prefix ws/browser")
		cmd := exec.CommandContext(t.Context(), needed.Program(t, "node", "apt-get install -y nodejs"), "-e", script(t, "testdata/ws.js"))
		cmd.Dir = modules
		return cmd
	}},
	{upgrader{path: "/python", name: "Python"}, false, func(t *testing.T) *exec.Cmd {
		return exec.CommandContext(t.Context(), needed.Program(t, "/usr/bin/python3", "apt-get install -y python3"),
			"-c", script(t, "testdata/echo.py"))
	}},
	{upgrader{path: "/python-websockets", name: "Python with websockets"}, true, func(t *testing.T) *exec.Cmd {
		const install = "apt-get install -y python3-websockets"
		python := needed.Program(t, "/usr/bin/python3", install)
		if exec.CommandContext(t.Context(), python, "-c", "import websockets").Run() != nil {
			needed.Missing(t, "the package websockets of Python", install)
		}
		return exec.CommandContext(t.Context(), python, "-c", script(t, "testdata/websockets.py"))
	}},
}

func script(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// running is a backend with its reports.
type running struct {
	*backend
	reports  chan string
	returned chan struct{} // one for each socket, when its handler has returned
}

// run runs the process until the test ends.
func (p process) run(t *testing.T) *running {
	t.Helper()
	r := &running{reports: make(chan string, 10), returned: make(chan struct{}, 10)}
	b, err := startBackend(p.command(t), func(line string) { r.reports <- line })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { received(t, "the end of the process", b.exited) })
	r.backend = b
	return r
}

func (r *running) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	defer func() { r.returned <- struct{}{} }()
	r.backend.ServeHTTP(rw, req)
}

// A backend in another language behind httputil.ReverseProxy, plain and TLS in front, with
// compression and without: at each kind of end the client and the backend read code and
// reason.
func TestBackendsEndWithTheSession(t *testing.T) {
	t.Parallel()
	for _, p := range processes {
		for _, kind := range []string{"plain", "TLS"} {
			for _, end := range sessionEnds {
				t.Run(strings.Join([]string{p.name, kind, end.name}, "/"), func(t *testing.T) {
					t.Parallel()
					backend := p.run(t)
					w := newWorld(t, kind, session.Config{Absolute: end.absolute},
						live.Config{Timeouts: live.Timeouts{Spread: time.Millisecond}}, func(s *site) {
							s.bind("GET "+p.path, backend)
						})
					cookies, sockets := map[string]string{}, map[string]*socket{}
					for _, deflate := range offers(p.deflates) {
						user := fmt.Sprint("deflate-", deflate)
						cookies[user] = w.login(user)
						s := w.connect(t, p.upgrader, cookies[user], deflate)
						s.echoes(100)
						s.echoes(70_000)
						sockets[user] = s
					}
					end.end(w, cookies)
					for user, s := range sockets {
						s.ends(end.code, end.reason)
						want := fmt.Sprint("close ", end.code, " ", end.reason)
						if got := received(t, "the backend's report", backend.reports); got != want {
							t.Errorf("the backend has read %q, want %q", got, want)
						}
						received(t, "the proxy's return", backend.returned)
						w.settled(user)
					}
				})
			}
		}
	}
}

// offers is whether a client offers compression: not, and then if the server has it.
func offers(deflates bool) []bool {
	if deflates {
		return []bool{false, true}
	}
	return []bool{false}
}

// A frame that a client sends in one segment with its handshake reaches the backend.
func TestBackendsReadEarlyData(t *testing.T) {
	t.Parallel()
	for _, p := range processes {
		for _, kind := range []string{"plain", "TLS"} {
			t.Run(p.name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				backend := p.run(t)
				w := newWorld(t, kind, session.Config{}, live.Config{}, func(s *site) { s.bind("GET "+p.path, backend) })
				cookie := w.login("ann")
				client := w.dial(t, append(w.opening(p.path, cookie), masked(0x81, []byte("early"))...), 0)
				if f, err := client.read(); f.first != 0x81 || string(f.payload) != "early" {
					t.Errorf("%#x %q came back, %v", f.first, f.payload, err)
				}
				w.logout(cookie)
				if f, err := client.read(); !f.isClose(3000, "revoked") {
					t.Errorf("the client has read %#x %q, %v", f.first, f.payload, err)
				}
				if rest := client.answerClose(); len(rest) > 0 {
					t.Errorf("after the close frame: %q", rest)
				}
				if got := received(t, "the backend's report", backend.reports); got != "close 3000 revoked" {
					t.Errorf("the backend has read %q", got)
				}
				w.settled("ann")
			})
		}
	}
}
