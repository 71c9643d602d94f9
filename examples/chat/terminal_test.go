package main

import (
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell is the terminal client, running.
type shell struct {
	cmd    *exec.Cmd
	input  io.WriteCloser
	screen *logBook // standard output and error
	exited chan struct{}
}

func startTerminal(t *testing.T, password string, args ...string) *shell {
	t.Helper()
	path, err := terminal.build()
	if err != nil {
		t.Fatal(err)
	}
	s := &shell{cmd: exec.Command(path, args...), screen: &logBook{}, exited: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = s.screen, s.screen
	if s.input, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.exited
		if t.Failed() {
			t.Logf("the terminal of %q:\n%s", args, s.screen)
		}
	})
	_, _ = fmt.Fprintln(s.input, password) // it may have ended by now
	return s
}

func (s *shell) write(t *testing.T, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(s.input, line); err != nil {
		t.Fatal(err)
	}
}

func (s *shell) waitFor(t *testing.T, text string) {
	t.Helper()
	eventually(t, "on the terminal: "+text, func() bool { return strings.Contains(s.screen.String(), text) })
}

func (s *shell) waitExit(t *testing.T) int {
	t.Helper()
	select {
	case <-s.exited:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatal("the terminal still runs after ", patience)
		return -1
	}
}

// Two terminals in the lobby, two in the sealed room: the messages of one room are not
// delivered to the other. Ctrl-C closes normally.
func TestTerminal(t *testing.T) {
	t.Parallel()
	p := startChat(t)
	enter := func(user string, more ...string) *shell {
		return startTerminal(t, p.passwords[user],
			append([]string{"-origin", p.origin, "-fingerprint", p.print, "-user", user}, more...)...)
	}
	alice, bob := enter("alice"), enter("bob")
	aliceSealed, carol := enter("alice", "-seal"), enter("carol", "-seal")
	alice.waitFor(t, "* connected\n")
	bob.waitFor(t, "* connected\n")
	carol.waitFor(t, "* connected, sealed\n")
	alice.waitFor(t, "in lobby: alice, bob\n")
	aliceSealed.waitFor(t, "in sealed: alice, carol\n")

	alice.write(t, "for the lobby \x1b[31m")
	bob.waitFor(t, " alice: for the lobby  [31m\n")
	carol.write(t, "for the sealed room")
	aliceSealed.waitFor(t, " carol: for the sealed room\n")
	bob.write(t, "the end")
	alice.waitFor(t, " bob: the end\n")
	for _, s := range []*shell{alice, bob} {
		if strings.Contains(s.screen.String(), "sealed room") {
			t.Error("the lobby hears what is said in the sealed room")
		}
	}

	for _, s := range []*shell{alice, carol} {
		_ = s.cmd.Process.Signal(syscall.SIGINT)
		if code := s.waitExit(t); code != 0 || !strings.HasSuffix(s.screen.String(), "* bye\n") {
			t.Errorf("exit code %d after Ctrl-C, screen ends %q", code, s.screen.tail())
		}
	}
	_ = bob.input.Close() // Ctrl-D
	if code := bob.waitExit(t); code != 0 {
		t.Errorf("exit code %d after Ctrl-D", code)
	}
	eventually(t, "the server has seen three normal closures", func() bool {
		return strings.Count(p.log.String(), "code=1000") == 3
	})
}

func TestTerminalIsCareful(t *testing.T) {
	t.Parallel()
	p := startChat(t)
	t.Run("another certificate", func(t *testing.T) {
		other := strings.Repeat("AB:", 31) + "AB"
		s := startTerminal(t, p.passwords["alice"], "-origin", p.origin, "-fingerprint", other)
		s.waitFor(t, "the server presented another certificate")
		if code := s.waitExit(t); code != 1 || strings.Contains(p.log.String(), "path=/login") {
			t.Errorf("exit code %d; the server's log:\n%s", code, p.log)
		}
	})
	t.Run("an untrusted certificate", func(t *testing.T) {
		s := startTerminal(t, p.passwords["alice"], "-origin", p.origin)
		if code := s.waitExit(t); code != 1 || strings.Contains(p.log.String(), "path=/login") {
			t.Errorf("exit code %d; the server's log:\n%s", code, p.log)
		}
	})
	t.Run("a wrong password", func(t *testing.T) {
		s := startTerminal(t, "nonsense", "-origin", p.origin, "-fingerprint", p.print)
		s.waitFor(t, "401 Unauthorized wrong_password")
		if code := s.waitExit(t); code != 1 {
			t.Errorf("exit code %d", code)
		}
	})
	t.Run("no https", func(t *testing.T) {
		s := startTerminal(t, "", "-origin", "http://localhost:1")
		s.waitFor(t, "want https://")
		if code := s.waitExit(t); code != 1 {
			t.Errorf("exit code %d", code)
		}
	})
}
