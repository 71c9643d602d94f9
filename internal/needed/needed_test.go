package needed_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/securews/securews/internal/needed"
)

// recorder notes how a test ends.
type recorder struct {
	testing.TB
	end string
}

func (*recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) { r.stop("fails: ", format, args) }

func (r *recorder) Skipf(format string, args ...any) { r.stop("is skipped: ", format, args) }

func (r *recorder) stop(how, format string, args []any) {
	r.end = how + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestWithoutTheProgramOrFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "tool")
	text := "no " + missing + " here; install it with: apt-get install -y tool"
	const none = "is skipped: SECUREWS_ALL=0: without "
	for _, tt := range []struct {
		name string
		all  string // SECUREWS_ALL
		call func(t testing.TB)
		want string
	}{
		{"a program", "", func(t testing.TB) { needed.Program(t, missing, "apt-get install -y tool") }, "is skipped: " + text},
		{"a program, all", "1", func(t testing.TB) { needed.Program(t, missing, "apt-get install -y tool") }, "fails: " + text},
		{"a file", "", func(t testing.TB) { needed.File(t, missing, "apt-get install -y tool") }, "is skipped: " + text},
		{"a file, all", "1", func(t testing.TB) { needed.File(t, missing, "apt-get install -y tool") }, "fails: " + text},
		{"a program that is there", "1", func(t testing.TB) { needed.Program(t, "sh", "") }, ""},
		{"a file that is there", "1", func(t testing.TB) { needed.File(t, "needed.go", "") }, ""},
		{"a program that is there, none", "0", func(t testing.TB) { needed.Program(t, "sh", "") }, none + "sh"},
		{"a file, none", "0", func(t testing.TB) { needed.File(t, "x", "") }, none + "x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("SECUREWS_ALL", tt.all)
			r := &recorder{TB: t}
			done := make(chan struct{})
			go func() {
				defer close(done)
				tt.call(r)
			}()
			<-done
			if r.end != tt.want {
				t.Errorf("it %s, want %s", r.end, tt.want)
			}
		})
	}
}

// Modules of Node are installed from their lock file. This one is a directory, so that no network is
// needed.
func TestNodeModulesAreInstalled(t *testing.T) {
	t.Setenv("SECUREWS_ALL", "")
	needed.Program(t, "npm", "apt-get install -y npm")
	const (
		manifest = `{"name":"m","version":"1.0.0","dependencies":{"x":"file:x"}}`
		lock     = `{"name":"m","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"m","version":"1.0.0",
			"dependencies":{"x":"file:x"}},"x":{"version":"1.0.0"},"node_modules/x":{"resolved":"x","link":true}}}`
	)
	for _, tt := range []struct{ name, lock, want string }{
		{"with a lock file", lock, ""},
		{
			"with a damaged lock file", "{",
			"is skipped: no DIR/node_modules/x here; install it with: npm ci --ignore-scripts --prefix some/dir",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "x"), 0o700); err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string]string{
				"package.json": manifest, "package-lock.json": tt.lock, "x/package.json": `{"name":"x","version":"1.0.0"}`,
			} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			r := &recorder{TB: t}
			done := make(chan struct{})
			go func() {
				defer close(done)
				needed.NodeModule(r, dir, "some/dir", "x")
			}()
			<-done
			if want := strings.ReplaceAll(tt.want, "DIR", dir); r.end != want {
				t.Errorf("it %q, want %q", r.end, want)
			}
		})
	}
}
