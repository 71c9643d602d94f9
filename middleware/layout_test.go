package middleware_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	columnLimit = 140 // of a line; a tab counts as four
	rowLimit    = 4   // fields of a table's row without their names
	longWord    = 60  // such a word, a token or a URL, cannot be broken and does not count
)

// layoutExempt prints a command that is copied as one line.
const layoutExempt = "examples/card/main.go"

// TestArchitectureLayout is for the source files of every module, those of tests too.
func TestArchitectureLayout(t *testing.T) {
	for name, src := range sources(t) {
		for _, found := range longLines(name, src) {
			t.Errorf("%s\n\ta line has at most %d columns", found, columnLimit)
		}
		for _, found := range unnamedRows(name, src) {
			t.Errorf("%s\n\ta row of a table with more than %d fields names them", found, rowLimit)
		}
	}
}

// sources returns the text of each file, by its path from the root of the repository.
func sources(t *testing.T) map[string]string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (slices.Contains([]string{"node_modules", "dist", "testdata"}, d.Name()) || d.Name()[0] == '.'):
			return fs.SkipDir
		case d.IsDir() || !slices.Contains([]string{".go", ".ts", ".js"}, filepath.Ext(path)):
			return nil
		}
		name, _ := filepath.Rel(root, path)
		src, err := os.ReadFile(path)
		found[filepath.ToSlash(name)] = string(src)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 500 {
		t.Fatalf("%d files", len(found))
	}
	return found
}

func longLines(name, src string) (found []string) {
	if name == layoutExempt {
		return nil
	}
	n, output := 0, false
	for line := range strings.Lines(src) {
		n++
		switch text := strings.TrimSpace(line); {
		case strings.HasPrefix(text, "// Output:"), strings.HasPrefix(text, "// Unordered output:"):
			output = true // of an example: it stands as it is printed
		case !strings.HasPrefix(text, "//"):
			output = false
		}
		if !output && columns(strings.TrimRight(line, "\n")) > columnLimit {
			found = append(found, fmt.Sprintf("%s:%d", name, n))
		}
	}
	return found
}

func columns(line string) int {
	n := utf8.RuneCountInString(line) + 3*strings.Count(line, "\t")
	for _, word := range strings.Fields(line) {
		if size := utf8.RuneCountInString(word); size > longWord {
			n -= size
		}
	}
	return n
}

// unnamedRows is for tables whose rows are an anonymous struct, or a type of the same file.
func unnamedRows(name, src string) (found []string) {
	if !strings.HasSuffix(name, ".go") {
		return nil
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		return []string{err.Error()}
	}
	named := map[string]ast.Expr{}
	ast.Inspect(f, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			named[spec.Name.Name] = spec.Type
		}
		return true
	})
	ast.Inspect(f, func(n ast.Node) bool {
		table, ok := n.(*ast.CompositeLit)
		if !ok || !hasStructs(table.Type, named) {
			return true
		}
		for _, row := range table.Elts {
			if pair, ok := row.(*ast.KeyValueExpr); ok {
				row = pair.Value
			}
			if row, ok := row.(*ast.CompositeLit); ok && len(row.Elts) > rowLimit {
				if _, names := row.Elts[0].(*ast.KeyValueExpr); !names {
					found = append(found, fmt.Sprintf("%s:%d", name, fset.Position(row.Pos()).Line))
				}
			}
		}
		return true
	})
	return found
}

// hasStructs reports whether the elements of an array, slice or map type are structs.
func hasStructs(typ ast.Expr, named map[string]ast.Expr) bool {
	var elem ast.Expr
	switch typ := typ.(type) {
	case *ast.ArrayType:
		elem = typ.Elt
	case *ast.MapType:
		elem = typ.Value
	}
	if pointer, ok := elem.(*ast.StarExpr); ok {
		elem = pointer.X
	}
	if name, ok := elem.(*ast.Ident); ok {
		elem = named[name.Name]
	}
	_, ok := elem.(*ast.StructType)
	return ok
}

func TestArchitectureLayoutBites(t *testing.T) {
	full := "\t" + strings.Repeat("x ", columnLimit/2-2) // 4 + 2 * 68
	for _, tt := range []struct {
		src  string
		want int
	}{
		{full, 0},
		{full + "x", 1},
		{full + "é", 1},
		{full + strings.Repeat("y", longWord+1), 0},
		{full + strings.Repeat("y", longWord), 1},
		{"\n" + full + "x\n\n" + full + "x\n", 2},
		{"\t// Output:\n\t//" + full + "x\n", 0},
		{"\t// Output:\n}\n\t//" + full + "x\n", 1},
	} {
		if got := longLines("ws/a.ts", tt.src); len(got) != tt.want {
			t.Errorf("%.300q: found %q, want %d", tt.src, got, tt.want)
		}
	}
	const five = `{ a, b, c, d, e int }`
	for _, tt := range []struct {
		src  string
		want int
	}{
		{`var x = []struct ` + five + `{{1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}}`, 2},
		{`var x = map[string]struct ` + five + `{"a": {1, 2, 3, 4, 5}}`, 1},
		{`var x = []*struct ` + five + `{{1, 2, 3, 4, 5}}`, 1},
		{`type row struct ` + five + `; var x = [...]row{{1, 2, 3, 4, 5}}`, 1},
		{`func f() { type row struct ` + five + `; _ = []row{{1, 2, 3, 4, 5}} }`, 1},
		{`var x = []struct ` + five + `{{a: 1, b: 2, c: 3, d: 4, e: 5}}`, 0},
		{`var x = []struct { a, b, c, d int }{{1, 2, 3, 4}}`, 0},
		{`var x = [][]int{{1, 2, 3, 4, 5}}`, 0},
	} {
		if got := unnamedRows("a_test.go", "package a; "+tt.src); len(got) != tt.want {
			t.Errorf("%s: found %q, want %d", tt.src, got, tt.want)
		}
	}
}
