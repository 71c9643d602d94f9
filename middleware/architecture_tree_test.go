package middleware_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tree is a module's non-test files, its go.mod and the names in its root.
type tree struct {
	files   []file
	mod     string
	entries []string
}

type file struct {
	path, pkg string // from the module's root, with slashes
	fset      *token.FileSet
	syntax    *ast.File
}

func parse(name string, src []byte) (file, error) {
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	return file{name, path.Dir(name), fset, syntax}, err
}

func readModule(t *testing.T) (tr tree) {
	t.Helper()
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for !exists(root, "go.mod") {
		if root == filepath.Dir(root) {
			t.Fatal("no go.mod above the test")
		}
		root = filepath.Dir(root)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	tr.mod = string(mod)
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		tr.entries = append(tr.entries, e.Name())
	}
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && (exists(name, "go.mod") || d.Name() == "testdata" || d.Name()[0] == '.'):
			return fs.SkipDir // another module, or no part of any
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		rel, _ := filepath.Rel(root, name)
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f, err := parse(filepath.ToSlash(rel), src)
		tr.files = append(tr.files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// each collects what check returns for every file.
func (tr tree) each(check func(file) []string) (found []string) {
	for _, f := range tr.files {
		found = append(found, check(f)...)
	}
	return found
}

func (f file) at(pos token.Pos, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", f.path, f.fset.Position(pos).Line, fmt.Sprintf(format, args...))
}

// uses returns where f names one of a package's exports, under whatever name it imports it.
func (f file) uses(pkg string, exports ...string) (found []*ast.SelectorExpr) {
	local := ""
	for _, spec := range f.syntax.Imports {
		if p, _ := strconv.Unquote(spec.Path.Value); p == pkg {
			if local = path.Base(p); spec.Name != nil {
				local = spec.Name.Name
			}
		}
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains(exports, sel.Sel.Name) {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == local {
				found = append(found, sel)
			}
		}
		return true
	})
	return found
}

// exported returns the exported functions, methods, types, fields, variables and constants.
func (f file) exported() (names []*ast.Ident) {
	keep := func(list ...*ast.Ident) {
		for _, name := range list {
			if name.IsExported() {
				names = append(names, name)
			}
		}
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			keep(n.Name)
			return false
		case *ast.TypeSpec:
			keep(n.Name)
		case *ast.ValueSpec:
			keep(n.Names...)
		case *ast.StructType:
			for _, field := range n.Fields.List {
				keep(field.Names...)
			}
		case *ast.InterfaceType:
			for _, method := range n.Methods.List {
				keep(method.Names...)
			}
		}
		return true
	})
	return names
}
