package pages

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/securews/securews/internal/needed"
)

// patience bounds the start of a command.
const patience = time.Minute

// Origin finds the origin that a command announces.
var Origin = regexp.MustCompile(`https://[a-z0-9.]+:[0-9]+`)

// Build makes the command in a directory. The detector of races does not watch it: the test is
// skipped under -race.
func Build(t testing.TB, dir string) string {
	t.Helper()
	needed.WithoutRace(t)
	path := filepath.Join(t.TempDir(), filepath.Base(dir))
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build in %s: %v\n%s", dir, err, out)
	}
	return path
}

// Serve runs a command until the test ends. It calls ready for each line that the command prints, and
// returns when that was true once.
func Serve(t testing.TB, ready func(line string) bool, command string, args ...string) {
	t.Helper()
	cmd := exec.Command(command, args...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	said := make(chan bool, 1) // that it is ready; false: it has ended before
	go func() {
		waiting := true
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if waiting && ready(lines.Text()) {
				waiting = false
				said <- true
			}
		}
		if waiting {
			said <- false
		}
	}()
	select {
	case ok := <-said:
		if !ok {
			t.Fatalf("%s has ended before it was ready", command)
		}
	case <-time.After(patience):
		t.Fatalf("%s does not say that it is ready", command)
	}
}
