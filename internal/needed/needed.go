// Package needed is for tests that need a program or a file which is not part of this repository.
// With SECUREWS_ALL=0 each of them is skipped, whether it is there or not.
package needed

import (
	"os"
	"os/exec"
	"testing"
)

// Program returns the path of a program. If it is not installed, the test is skipped with the
// command that installs it. With SECUREWS_ALL=1 the test fails instead.
func Program(t testing.TB, name, install string) string {
	t.Helper()
	skipWithout(t, name)
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, name, install)
	}
	return path
}

// File is Program for a file.
func File(t testing.TB, path, install string) {
	t.Helper()
	skipWithout(t, path)
	if _, err := os.Stat(path); err != nil {
		Missing(t, path, install)
	}
}

// Missing skips or fails the test because a program or file is not installed.
func Missing(t testing.TB, what, install string) {
	t.Helper()
	const text = "no %s here; install it with: %s"
	if os.Getenv("SECUREWS_ALL") == "1" {
		t.Fatalf(text, what, install)
	}
	t.Skipf(text, what, install)
}

func skipWithout(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("SECUREWS_ALL") == "0" {
		t.Skipf("SECUREWS_ALL=0: without %s", what)
	}
}
