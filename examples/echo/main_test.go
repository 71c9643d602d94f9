package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/examples/localcert"
	"github.com/securews/securews/internal/needed"
)

// process is the program, running as it stands in main.go.
type process struct {
	addr, origin string
	client       *http.Client
	log          bytes.Buffer // to be read when it has exited
	cmd          *exec.Cmd
	exited       chan struct{}
}

// build makes the command, with cert.pem and key.pem beside it.
func build(t *testing.T) (command string) {
	t.Helper()
	needed.WithoutRace(t)
	dir := t.TempDir()
	command = filepath.Join(dir, "echo")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", command, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cert, err := localcert.New()
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: cert.Certificate[0]}, "key.pem": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return command
}

// start runs the command at a free port and returns when it accepts connections.
func start(t *testing.T, command string) *process {
	t.Helper()
	p := &process{addr: freeAddr(t), exited: make(chan struct{}), client: &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	}}
	p.origin = "https://" + p.addr
	p.cmd = exec.Command(command, "-addr", p.addr)
	p.cmd.Dir, p.cmd.Stderr = filepath.Dir(command), &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		if s := p.log.String(); t.Failed() {
			t.Logf("the end of its log:\n%s", s[max(0, len(s)-2000):])
		}
	})
	p.untilServing(t)
	return p
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func (p *process) untilServing(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); ; <-tick.C {
		c, err := net.Dial("tcp", p.addr)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it does not serve: %v", err)
		}
	}
}

func (p *process) signal(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// wantExit checks that the process exits with status 0 within the given time.
func (p *process) wantExit(t *testing.T, within time.Duration) {
	t.Helper()
	select {
	case <-p.exited:
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("exit status %d, want 0", code)
		}
	case <-time.After(within):
		t.Fatalf("it still runs %v after it should have exited", within)
	}
}

// signIn returns the value of a Cookie header.
func (p *process) signIn(t *testing.T, user string) string {
	t.Helper()
	form := strings.NewReader(url.Values{"user": {user}}.Encode())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.origin+"/login", form)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", p.origin)
	answer, err := p.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK || len(answer.Cookies()) != 1 {
		t.Fatalf("sign in: %s", answer.Status)
	}
	return answer.Cookies()[0].Name + "=" + answer.Cookies()[0].Value
}

const (
	sockets = 1000 // all that live.Limits.PerAddress admits by default
	perUser = 50   // of the 64 of live.Limits.PerPrincipal
)

// open opens the sockets, has each of them echo one message, and reads until they end.
func (p *process) open(t *testing.T) <-chan error {
	t.Helper()
	endings := make(chan error, sockets)
	var opened sync.WaitGroup
	places := make(chan struct{}, 16)
	for i := range sockets / perUser {
		cookie := p.signIn(t, fmt.Sprint("user", i))
		for range perUser {
			places <- struct{}{}
			opened.Go(func() {
				defer func() { <-places }()
				c, err := p.dial(t.Context(), cookie)
				if err != nil {
					t.Error(err)
					return
				}
				go func() {
					_, _, err := c.Read(context.Background())
					_ = c.CloseNow()
					endings <- err
				}()
			})
		}
	}
	if opened.Wait(); t.Failed() {
		t.FailNow()
	}
	return endings
}

func (p *process) dial(ctx context.Context, cookie string) (*websocket.Conn, error) {
	c, _, err := websocket.Dial(ctx, p.origin+"/ws", &websocket.DialOptions{
		HTTPClient: p.client, HTTPHeader: http.Header{"Origin": {p.origin}, "Cookie": {cookie}},
	})
	if err != nil {
		return nil, err
	}
	if err := c.Write(ctx, websocket.MessageText, []byte("hi")); err != nil {
		return nil, err
	}
	if _, b, err := c.Read(ctx); err != nil || string(b) != "hi" {
		return nil, fmt.Errorf("echoed %q, %w", b, err)
	}
	return c, nil
}

// wantRestart checks that the next n sockets end with 1012 `restart`.
func wantRestart(t *testing.T, endings <-chan error, n int, within time.Duration) {
	t.Helper()
	late := time.After(within)
	for i := range n {
		select {
		case err := <-endings:
			var e websocket.CloseError
			if !errors.As(err, &e) || e.Code != 1012 || e.Reason != "restart" {
				t.Fatalf("a socket ended with %v, want 1012 restart", err)
			}
		case <-late:
			t.Fatalf("%d of %d sockets have ended within %v", i, n, within)
		}
	}
}

// Faults row 27, finding L8: SIGTERM ends every socket with its close code, spread over the
// 5 s of live.Timeouts.Spread, and the process exits with status 0 within the 10 s of main.go.
func TestStopEndsEverySocketWithRestart(t *testing.T) {
	p := start(t, build(t))
	endings := p.open(t)
	p.signal(t)
	wantRestart(t, endings, sockets, 10*time.Second)
	p.wantExit(t, 10*time.Second)
}

// Faults row 27: a second SIGTERM ends the remaining sockets at once, and each of them still
// reads its close code.
func TestSecondStopHastens(t *testing.T) {
	p := start(t, build(t))
	endings := p.open(t)
	p.signal(t)
	wantRestart(t, endings, 1, 10*time.Second) // the shutdown has begun
	began := time.Now()
	p.signal(t)
	wantRestart(t, endings, sockets-1, 10*time.Second)
	p.wantExit(t, 10*time.Second)
	// Without it, they would take the rest of the spread, about 5 s.
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the second signal hastened nothing: %v", took)
	}
}
