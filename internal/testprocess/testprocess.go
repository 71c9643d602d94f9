// Package testprocess runs the binary of a test again, as a server in a process of its own.
package testprocess

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds the start of a process.
const patience = 30 * time.Second

// Process is a server that a test has started.
type Process struct {
	Origin string // http://host:port

	cmd *exec.Cmd
}

// Start starts the running binary with further variables of the environment, by which its TestMain
// knows that it is to call Serve. The process ends with the test, and with the process of the test.
func Start(t testing.TB, environment ...string) *Process {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{cmd: exec.Command(path)}
	var log output
	p.cmd.Env, p.cmd.Stderr = append(os.Environ(), environment...), &log
	in, errIn := p.cmd.StdinPipe()
	out, errOut := p.cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		p.Kill()
		if t.Failed() {
			t.Logf("the process wrote: %.3000s", &log)
		}
	})
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(out).ReadString('\n')
		line <- strings.TrimSpace(text)
	}()
	select {
	case p.Origin = <-line:
	case <-time.After(patience):
	}
	if p.Origin == "" {
		t.Fatalf("the process announces no address: %s", &log)
	}
	return p
}

// Kill ends the process by SIGKILL, and returns after it has ended.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// Serve is the process: it listens on loopback, announces its origin on the standard output, and
// serves until its standard input ends. It returns the exit code after a failure.
func Serve(newServer func(origin string) (*http.Server, error)) int {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		origin := "http://" + l.Addr().String()
		var srv *http.Server
		if srv, err = newServer(origin); err == nil {
			srv.ReadHeaderTimeout, srv.ReadTimeout = patience, patience // a busy machine opens many at once
			fmt.Println(origin)
			err = srv.Serve(l)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// output has the text that a process has written. It is safe for concurrent use.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
