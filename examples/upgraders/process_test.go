package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/securews/securews/internal/needed"
)

// command is the program that people run. It is built once for all tests.
var command = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "upgraders")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "upgraders")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return path, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, _ := command(); path != "" {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// program is the command, running.
type program struct {
	t      *testing.T
	origin string
	cmd    *exec.Cmd
	log    logBook
	exited chan struct{} // closed when it is gone
}

var addressLine = regexp.MustCompile(`https://\S+`)

// startProgram runs the command on a free port and reads the address from its standard
// output, as a user would. PATH is its environment's; empty: that of the test.
func startProgram(t *testing.T, path string) *program {
	t.Helper()
	needed.WithoutRace(t)
	file, err := command()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, cmd: exec.Command(file, "-addr", "localhost:0"), exited: make(chan struct{})}
	p.cmd.Stderr = &p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a shell does
	if path != "" {
		p.cmd.Env = append(os.Environ(), "PATH="+path)
	}
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	address := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if found := addressLine.FindString(lines.Text()); found != "" {
				address <- found
				break
			}
		}
		_, _ = io.Copy(io.Discard, out)
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("the server's log:\n%s", p.log.String())
		}
	})
	select {
	case p.origin = <-address:
	case <-p.exited:
		t.Fatalf("the server ended:\n%s", p.log.String())
	case <-time.After(patience):
		t.Fatal("no address")
	}
	return p
}

// wantExit wants that the process ends with status 0.
func (p *program) wantExit() {
	p.t.Helper()
	select {
	case <-p.exited:
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			p.t.Errorf("exit status %d, want 0", code)
		}
	case <-time.After(patience):
		p.t.Fatal("the process still runs")
	}
}

// get returns the body of a GET without a cookie.
func (p *program) get(path string) string {
	p.t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get(p.origin + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatal(resp.Status, err)
	}
	return string(body)
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

// count returns how many lines contain all of the words.
func (l *logBook) count(words ...string) (n int) {
	for line := range strings.Lines(l.String()) {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			n++
		}
	}
	return n
}

// The program starts with only Go installed, and ends with status 0 when it is told to.
func TestProgramStartsWithoutNode(t *testing.T) {
	t.Parallel()
	p := startProgram(t, t.TempDir())
	body := p.get("/")
	const want = `Node is not installed. Install it and start again: <code>apt-get install -y nodejs</code>`
	if !strings.Contains(body, want) || strings.Count(body, `data-state="missing"`) != 1 || strings.Count(body, `data-state="idle"`) != 9 {
		t.Errorf("the page of a machine without Node:\n%s", body)
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	p.wantExit()
}

// eventually asks until the answer is yes.
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
