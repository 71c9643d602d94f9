package docs

import (
	"fmt"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// A block that does not compile is found, with its place in the document, and a good one is not.
func TestBlocksBite(t *testing.T) {
	t.Parallel()
	names, lookup := namesOfFragments(t), exported(t, []string{"strings", "net/http", "log/slog"})
	for text, want := range map[string]string{
		"x := strings.ToUpper(`a`)\n":                                         "", // a fragment leaves variables unused
		"func f() int { return 1 }\n":                                         "",
		"http.Server{Addr: `:1`}\n":                                           "",
		"log.Info(`the *slog.Logger of names.go`)\n":                          "",
		"x := strings.ToUper(`a`)\n":                                          "A.md:5: undefined: strings.ToUper",
		"http.Server{Address: `:1`}\n":                                        "A.md:5: unknown field Address",
		"var x int = `a`\n":                                                   "A.md:5: cannot use",
		"nobody.Knows()\n":                                                    "A.md:5: undefined: nobody",
		"x := (\n":                                                            "A.md:",
		"package main\n\nimport \"net/http\"\n\nfunc main() {}\n":             "A.md:7: \"net/http\" imported and not used",
		"package main\n\nimport \"net/http\"\n\nvar _ http.Server\n":          "",
		"// A comment.\npackage main\n\nfunc main() { return http.NoBody }\n": "A.md:8: ",
	} {
		p := read("A.md", "# A\n\nText.\n```go\n"+text+"```\n")
		if len(p.blocks) != 1 || p.blocks[0].line != 5 {
			t.Fatalf("%+v", p.blocks)
		}
		src := complete(p.blocks[0], names)
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "", src.text, 0)
		faults := []string{fmt.Sprint(err)}
		if err == nil {
			faults = check(fset, file, src.fragment, lookup)
		}
		if len(faults) > 0 && want == "" || want != "" && !strings.Contains(strings.Join(faults, "\n"), want) {
			t.Errorf("%q: %q, want %q", text, faults, want)
		}
	}
}

// The comment in front of a fragment declares its names, and the function around it.
func TestPreamble(t *testing.T) {
	t.Parallel()
	const text = "<!-- go:\nimport \"sync/atomic\"\nvar n atomic.Int64\nin func() int64\n-->\n```go\nreturn n.Load()\n```\n" +
		"<!-- go: var m int -->\n```go\nm++\n```\n```go\nm++\n```\n"
	p := read("A.md", text)
	names, lookup := namesOfFragments(t), exported(t, []string{"sync/atomic"})
	for i, good := range []bool{true, true, false} {
		src := complete(p.blocks[i], names)
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "", src.text, 0)
		if err != nil {
			t.Fatal(err)
		}
		if faults := check(fset, file, true, lookup); (len(faults) == 0) != good {
			t.Errorf("block %d: %q", i, faults)
		}
	}
}
