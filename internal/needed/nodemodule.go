package needed

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// installTime bounds an installation.
const installTime = 3 * time.Minute

// NodeModule returns the path of a module of Node that the package-lock.json in dir names. If it is
// not there and npm is, npm installs all modules of that file, without running their scripts. If that
// fails, it is as with [File]. The prefix is dir as seen from the root of the repository.
func NodeModule(t testing.TB, dir, prefix, name string) string {
	t.Helper()
	path := filepath.Join(dir, "node_modules", filepath.FromSlash(name))
	skipWithout(t, path)
	if !installed(dir) {
		install(t, dir)
	}
	File(t, path, "npm ci --ignore-scripts --prefix "+prefix)
	return path
}

// install has npm install the modules, unless another process has done so meanwhile.
func install(t testing.TB, dir string) {
	t.Helper()
	npm, err := exec.LookPath("npm")
	if err != nil {
		return
	}
	unlock, err := lock(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Log(err)
		return
	}
	defer unlock()
	if installed(dir) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), installTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir, cmd.WaitDelay = dir, 5*time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Logf("npm ci: %v: %.500s", err, out)
	}
}

// installed reports whether npm has finished an installation: this file is the last that it writes.
func installed(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json"))
	return err == nil
}
