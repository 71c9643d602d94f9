package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/securews/securews/internal/needed"
)

// program is a command that is built once for all tests.
type program struct {
	of   string // its package
	once sync.Once
	path string
	err  error
}

var chat, terminal = &program{of: "."}, &program{of: "./client"}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, b := range []*program{chat, terminal} {
		if b.path != "" {
			_ = os.RemoveAll(filepath.Dir(b.path))
		}
	}
	os.Exit(code)
}

// build makes the command that people run.
func (b *program) build() (string, error) {
	b.once.Do(func() {
		dir, err := os.MkdirTemp("", "chat")
		if err != nil {
			b.err = err
			return
		}
		b.path = filepath.Join(dir, "command")
		if out, err := exec.Command("go", "build", "-o", b.path, b.of).CombinedOutput(); err != nil {
			b.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	return b.path, b.err
}

// process is the command, running.
type process struct {
	origin    string
	listening string // behind a proxy
	passwords map[string]string
	print     string // of the certificate
	log       *logBook
	cmd       *exec.Cmd
	exited    chan struct{} // closed when it is gone
}

// startChat runs the command on a free port and reads the address and the passwords from
// its standard output, as a user would.
func startChat(t *testing.T, args ...string) *process {
	t.Helper()
	needed.WithoutRace(t)
	path, err := chat.build()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{passwords: map[string]string{}, log: &logBook{}, exited: make(chan struct{})}
	p.cmd = exec.Command(path, append([]string{"-addr", "127.0.0.1:0"}, args...)...) // the last -addr counts
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	announced := make(chan struct{})
	go func() {
		p.readAnnouncement(out, announced)
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("the server's log:\n%s", p.log.tail())
		}
	})
	select {
	case <-announced:
	case <-p.exited:
		t.Fatalf("the server ended:\n%s", p.log)
	case <-time.After(patience):
		t.Fatal("no address and no passwords within ", patience)
	}
	return p
}

var (
	addressLine = regexp.MustCompile(`https://\S+`)
	printLine   = regexp.MustCompile(`^\s+[0-9A-F]{2}(:[0-9A-F]{2}){31}$`)
	behindLine  = regexp.MustCompile(`without TLS to (\S+),`)
	accountLine = regexp.MustCompile(`^\s+([a-z]+)\s+([a-z2-7]{4}(?:-[a-z2-7]{4}){3})$`)
)

func (p *process) readAnnouncement(out io.Reader, announced chan<- struct{}) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if p.origin == "" {
			p.origin = addressLine.FindString(lines.Text())
		}
		if m := accountLine.FindStringSubmatch(lines.Text()); m != nil {
			p.passwords[m[1]] = m[2]
		}
		if m := behindLine.FindStringSubmatch(lines.Text()); m != nil {
			p.listening = m[1]
			close(announced)
		}
		if p.print == "" && printLine.MatchString(lines.Text()) {
			p.print = strings.TrimSpace(lines.Text())
			close(announced)
		}
	}
}

func (p *process) host() string { return strings.TrimPrefix(p.origin, "https://") }

// waitExit returns the exit code.
func (p *process) waitExit(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		t.Fatalf("the process still runs %v after it should have ended", within)
		return -1
	}
}

// insecure is a client that accepts the self-signed certificate created at start.
func insecure() *http.Client {
	return &http.Client{
		Timeout:   patience,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 4},
	}
}

// signIn returns the value for a Cookie header.
func signIn(t *testing.T, c *http.Client, origin, user, password string) string {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"user": user, "password": password})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, origin+"/login", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", origin)
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK || len(answer.Cookies()) != 1 {
		text, _ := io.ReadAll(answer.Body)
		t.Fatalf("sign in: %s %s", answer.Status, text)
	}
	cookie := answer.Cookies()[0]
	return cookie.Name + "=" + cookie.Value
}

// logBook is a log that a test reads while it is written.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// tail returns the end of the log, for the message of a failing test.
func (l *logBook) tail() string {
	s := l.String()
	return s[max(0, len(s)-4000):]
}

// eventually asks until the answer is yes, yielding in between.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
