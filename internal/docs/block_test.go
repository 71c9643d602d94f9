package docs

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// packages has the packages that a fragment may use without an import, by name.
var packages = byName(strings.Fields(`
	bytes cmp context crypto/tls encoding/json errors fmt io log/slog net net/http net/http/httptest net/http/httputil net/url os
	os/signal strings syscall testing testing/synctest time
	github.com/alexedwards/scs/v2 github.com/coder/websocket
	github.com/prometheus/client_golang/prometheus github.com/prometheus/client_golang/prometheus/promhttp
	go.opentelemetry.io/otel/trace go.opentelemetry.io/otel/attribute
	github.com/securews/securews/middleware github.com/securews/securews/middleware/bearer
	github.com/securews/securews/middleware/live github.com/securews/securews/middleware/metrics
	github.com/securews/securews/middleware/redis github.com/securews/securews/middleware/storetest
	github.com/securews/securews/middleware/ticket github.com/securews/securews/session github.com/securews/securews/ws
	github.com/securews/securews/ws/browser github.com/securews/securews/ws/redial github.com/securews/securews/ws/seal
	github.com/securews/securews/ws/wstest`),
	map[string]string{"goredis": "github.com/redis/go-redis/v9", "chi": "github.com/go-chi/chi/v5"})

func byName(paths []string, named map[string]string) map[string]string {
	for _, p := range paths {
		name := path.Base(p)
		if name == "v2" {
			name = path.Base(path.Dir(p))
		}
		named[name] = p
	}
	return named
}

// Every block of Go in the documents compiles: a program by itself, a fragment with the names of
// testdata/names.go and those of the comment in front of it.
func TestBlocksOfGoCompile(t *testing.T) {
	t.Parallel()
	names := namesOfFragments(t)
	var files []*ast.File
	var sources []source
	blocks := 0
	fset := token.NewFileSet()
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.language != "go" {
				continue
			}
			blocks++
			src := complete(b, names)
			file, err := parser.ParseFile(fset, "", src.text, 0)
			if err != nil {
				t.Errorf("%v\n%s", err, src.text)
				continue
			}
			files, sources = append(files, file), append(sources, src)
		}
	}
	if blocks < 50 {
		t.Errorf("%d blocks of Go", blocks)
	}
	lookup := exported(t, imported(files))
	for i, file := range files {
		for _, fault := range check(fset, file, sources[i].fragment, lookup) {
			t.Error(fault)
		}
	}
}

type source struct {
	text     string
	fragment bool // may leave variables unused
}

// complete makes a file of a block.
func complete(b block, names map[string]string) source {
	line := fmt.Sprintf("//line %s:%d\n", b.path, b.line)
	if strings.HasPrefix(b.text, "package ") || strings.Contains(b.text, "\npackage ") {
		return source{line + b.text, false}
	}
	around := "func _()"
	var declared strings.Builder
	for row := range strings.Lines(b.preamble) {
		if in, found := strings.CutPrefix(strings.TrimSpace(row), "in "); found {
			around = "func _" + strings.TrimPrefix(in, "func")
		} else {
			declared.WriteString(row)
		}
	}
	text := line + b.text
	if !parses(text) {
		if e, err := parser.ParseExpr(b.text); err == nil && !called(e) {
			text = "var _ =\n" + text
		} else {
			text = around + " {\n" + text + "\n}"
		}
	}
	text = declared.String() + "\n" + text
	imports, variables := missing(text, names)
	return source{"package fragment\n\n" + imports + text + variables, true}
}

func parses(declarations string) bool {
	_, err := parser.ParseFile(token.NewFileSet(), "", "package fragment\n"+declarations, parser.SkipObjectResolution)
	return err == nil
}

func called(e ast.Expr) bool {
	_, yes := e.(*ast.CallExpr)
	return yes
}

// missing returns the imports and variables that a fragment leaves out.
func missing(text string, names map[string]string) (imports, variables string) {
	var uses, declared []string
	for range 2 { // a variable may need an import
		file, err := parser.ParseFile(token.NewFileSet(), "", "package fragment\n"+text+"\n"+strings.Join(declared, "\n"), 0)
		if err != nil {
			break
		}
		known := map[string]bool{}
		for _, spec := range file.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			known[path.Base(p)] = true
			if spec.Name != nil {
				known[spec.Name.Name] = true
			}
		}
		for _, id := range file.Unresolved {
			variable, named := names[id.Name]
			p, packaged := packages[id.Name]
			switch {
			case known[id.Name]:
			case named:
				declared = append(declared, variable)
			case packaged:
				uses = append(uses, fmt.Sprintf("import %s %q", id.Name, p))
			}
			known[id.Name] = true
		}
	}
	slices.Sort(uses)
	return strings.Join(slices.Compact(uses), "\n") + "\n", "\n" + strings.Join(declared, "\n") + "\n"
}

// namesOfFragments returns the declarations of testdata/names.go, by name.
func namesOfFragments(t *testing.T) map[string]string {
	t.Helper()
	src, err := os.ReadFile("testdata/names.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	text := func(n ast.Node) string {
		return string(src[fset.Position(n.Pos()).Offset:fset.Position(n.End()).Offset])
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			for _, id := range n.Names {
				names[id.Name] = "var " + id.Name + " " + text(n.Type)
			}
		case *ast.FuncDecl:
			names[n.Name.Name] = text(n)
		}
		return true
	})
	return names
}

func imported(files []*ast.File) []string {
	all := map[string]bool{}
	for _, file := range files {
		for _, spec := range file.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			all[p] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// exported compiles the packages within the workspace, and returns their export data.
func exported(t *testing.T, paths []string) importer.Lookup {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go",
		append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", "errors"}, paths...)...)
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	data := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		data[name] = file
	}
	return func(name string) (io.ReadCloser, error) {
		if data[name] == "" {
			return nil, errors.New("no such package")
		}
		return os.Open(data[name])
	}
}

// check returns the faults that the compiler finds.
func check(fset *token.FileSet, file *ast.File, fragment bool, lookup importer.Lookup) (faults []string) {
	cfg := types.Config{
		Importer: importer.ForCompiler(fset, "gc", lookup),
		Error: func(err error) {
			var e types.Error
			if !errors.As(err, &e) || !e.Soft || !fragment {
				faults = append(faults, err.Error())
			}
		},
	}
	_, _ = cfg.Check("fragment", fset, []*ast.File{file}, nil)
	return faults
}
