package main

import (
	"bufio"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/securews/securews/internal/needed"
)

// start builds the command, runs it and returns the lines that it prints.
func start(t *testing.T) (cmd *exec.Cmd, at string, lines []string) {
	t.Helper()
	needed.WithoutRace(t)
	command := filepath.Join(t.TempDir(), "card")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", command, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	addr, err := freeAddr()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(command, "-addr", addr)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	printed := bufio.NewScanner(stdout)
	for len(lines) < 5 && printed.Scan() {
		lines = append(lines, printed.Text())
	}
	if len(lines) < 5 {
		t.Fatalf("it printed %q", lines)
	}
	return cmd, "https://" + addr, lines
}

// The printed commands open a socket, which ends at the logout.
func TestPrintedCommands(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"bash", "curl"} {
		needed.Program(t, command, "apt-get install -y "+command)
	}
	_, _, lines := start(t)
	dir := t.TempDir()
	opening := exec.CommandContext(t.Context(), "bash", "-c", lines[1]+"\n"+lines[2]+"\nwait")
	opening.Dir = dir
	stdout, err := opening.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := opening.Start(); err != nil {
		t.Fatal(err)
	}
	output := bufio.NewReader(stdout)
	for line := ""; line != "\r\n"; { // the end of the header
		if line, err = output.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	const hello = "\x81\x05hello" // RFC 6455 §5.7
	got := make([]byte, len(hello))
	if _, err := io.ReadFull(output, got); err != nil || string(got) != hello {
		t.Fatalf("read %q, %v; want %q", got, err, hello)
	}
	logout := exec.CommandContext(t.Context(), "bash", "-c", lines[4])
	logout.Dir = dir
	if out, err := logout.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const end = "\x88\x09\x0b\xb8revoked" // 3000
	if rest, err := io.ReadAll(output); string(rest) != end {
		t.Errorf("read %q, %v; want %q", rest, err, end)
	}
	_ = opening.Wait() // curl calls the end of the connection an error
}

func TestSIGTERMEndsSocketsWithRestart(t *testing.T) {
	t.Parallel()
	cmd, at, _ := start(t)
	ann := signIn(t, at)
	byCookie, byToken := open(t, at, ann.byCookie()), open(t, at, ann.byToken())
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, byCookie, 1012, "restart")
	wantEnd(t, byToken, 1012, "restart")
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	select {
	case err := <-exited:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it still runs")
	}
}

// The program is short, and uses these libraries and no other.
func TestProgramIsTheCard(t *testing.T) {
	t.Parallel()
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(program), "\n"); n >= 100 {
		t.Errorf("main.go has %d lines", n)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "main.go", program, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		host, _, _ := strings.Cut(path, "/")
		if strings.Contains(host, ".") && !strings.HasPrefix(path, "github.com/securews/securews/") {
			got = append(got, path)
		}
	}
	slices.Sort(got)
	want := []string{
		"github.com/alexedwards/scs/v2/memstore",
		"github.com/go-chi/chi/v5",
		"github.com/lestrrat-go/jwx/v2/jwa",
		"github.com/lestrrat-go/jwx/v2/jws",
		"github.com/lestrrat-go/jwx/v2/jwt",
		"nhooyr.io/websocket",
	}
	if !slices.Equal(got, want) {
		t.Errorf("main.go imports %q; want %q", got, want)
	}
	linked, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"github.com/coder/websocket", "github.com/lestrrat-go/jwx/v3"} {
		if strings.Contains(string(linked), other) {
			t.Errorf("%s is linked into the program", other)
		}
	}
}
