package browser_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What builds the modules is installed by this, from the repository's root.
const install = "npm ci --ignore-scripts --prefix ws/browser"

// node returns the program. It skips the test where it, or what npm installs, is
// missing; SECUREWS_ALL=1 makes that a failure.
func node(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("node")
	if err == nil {
		if _, err = os.Stat("node_modules/ws"); err == nil {
			return program
		}
	}
	if os.Getenv("SECUREWS_ALL") == "1" {
		t.Fatalf("SECUREWS_ALL=1, but: %v; install node, then: %s", err, install)
	}
	t.Skipf("%v; install node, then: %s", err, install)
	return ""
}

// run is node with arguments, and its output.
func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), node(t), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("node %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// dist is what the committed sources and toolchain build, byte for byte.
func TestDistIsBuiltFromSrc(t *testing.T) {
	node(t)
	out := t.TempDir()
	run(t, "node_modules/typescript/bin/tsc", "--noEmit")
	run(t, "build.js", out)
	built, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadDir("dist")
	if err != nil {
		t.Fatal(err)
	}
	if len(built) != len(kept) {
		t.Errorf("%d files built, %d in dist", len(built), len(kept))
	}
	for _, f := range built {
		want, _ := os.ReadFile(filepath.Join(out, f.Name()))
		if got, err := os.ReadFile(filepath.Join("dist", f.Name())); err != nil || !bytes.Equal(got, want) {
			t.Errorf("dist/%s is not what src builds (%v): npm run build", f.Name(), err)
		}
	}
}

// The tests in fake time, and of the sealing module against the shared vectors.
func TestNode(t *testing.T) {
	node(t)
	files, err := filepath.Glob("test/*.test.js")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d test files, %v", len(files), err)
	}
	out := run(t, append([]string{"--test", "--test-reporter=tap"}, files...)...)
	t.Log(out[strings.LastIndex(out, "\n# tests"):])
}

// The lock file names versions and hashes, no place to get them from.
func TestLockFileNamesNoHost(t *testing.T) {
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(lock, []byte(`"resolved"`)) || !bytes.Contains(lock, []byte(`"integrity"`)) {
		t.Error("made without --omit-lockfile-registry-resolved")
	}
}
