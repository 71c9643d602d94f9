package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/securews/securews/internal/needed"
)

var localPackage = regexp.MustCompile(`\bgo (?:run|test|vet) (?:-\S+ )*(\./\S+)`)

// A command of the documents is well-formed for a shell, and the packages that it names are there.
func TestCommands(t *testing.T) {
	t.Parallel()
	bash := needed.Program(t, "bash", "apt-get install -y bash")
	dir, commands := root(t), 0
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.language != "sh" {
				continue
			}
			commands++
			cmd := exec.CommandContext(t.Context(), bash, "-n")
			cmd.Stdin = strings.NewReader(b.text)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s:%d: %v\n%s", b.path, b.line, err, out)
			}
		}
		for _, found := range localPackage.FindAllStringSubmatch(p.text, -1) {
			name := strings.TrimRight(strings.TrimSuffix(found[1], "/..."), "`.,;:)")
			if sources, err := filepath.Glob(filepath.Join(dir, name, "*.go")); err != nil || len(sources) == 0 {
				t.Errorf("%s: %q: there is no package %s", p.path, found[0], name)
			}
		}
	}
	if commands < 5 {
		t.Errorf("%d blocks of commands", commands)
	}
}

// Every script of the documents is one that Node can parse.
func TestScriptsParse(t *testing.T) {
	t.Parallel()
	node := needed.Program(t, "node", "apt-get install -y nodejs")
	scripts := 0
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.language != "js" {
				continue
			}
			scripts++
			name := filepath.Join(t.TempDir(), "script.mjs")
			if err := os.WriteFile(name, []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), node, "--check", name).CombinedOutput(); err != nil {
				t.Errorf("%s:%d: %v\n%s", b.path, b.line, err, out)
			}
		}
	}
	if scripts < 4 {
		t.Errorf("%d scripts", scripts)
	}
}
