package middleware_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What the types of this module cannot say, this test says. A rule reads the module's
// non-test files and returns what breaks it; architecture_bite_test.go shows that each can.

const module = "github.com/securews/securews"

// imports lists what a package may import beyond the standard library: packages of ours,
// and modules or packages of others with all below them. Of the standard library, testing
// is for the test kit alone. A package that is not here must be argued for, and added.
var imports = map[string][]string{
	"internal/bounded":    {},
	"internal/contextkey": {},
	"internal/opening":    {},
	"middleware": {
		module + "/internal/...",
		"golang.org/x/time/rate", "github.com/rs/cors",
		"golang.org/x/net/publicsuffix", "golang.org/x/net/idna", "golang.org/x/net/http/httpguts",
	},
	"middleware/live":    {module + "/middleware", module + "/internal/..."},
	"middleware/bearer":  {module + "/middleware", module + "/internal/...", "github.com/lestrrat-go/jwx/v3"},
	"middleware/ticket":  {module + "/middleware", module + "/internal/..."},
	"session":            {module + "/middleware", module + "/internal/...", "github.com/alexedwards/scs/v2"},
	"session/redisstore": {module + "/middleware", "github.com/alexedwards/scs/v2", "github.com/redis/go-redis/v9"},
	"ws":                 {module + "/middleware", module + "/middleware/live", module + "/internal/...", "github.com/coder/websocket"},
	"ws/redial":          {module + "/ws", module + "/internal/...", "github.com/coder/websocket"},
	"ws/seal":            {module + "/ws", module + "/middleware", "github.com/coder/websocket"}, // its names stand in the signatures of ws.Conn
	"ws/browser":         {},
	"ws/wstest":          {"github.com/coder/websocket", "testing"},
}

// topLevel is what the repository's root may hold.
var topLevel = strings.Fields(`internal middleware session ws examples docs go.mod go.sum go.work go.work.sum
	README.md LICENSE SECURITY.md CHANGELOG.md .ci .git .gitignore`)

// dropped has exported names that were given up, each with what replaced it.
var dropped = map[string]string{
	"Spend": "Consume", "SingleUse": "Consumer", "Detach": "contextkey.Detached", "OnRefuse": "contextkey.Explain",
	"CutSubprotocols": "opening.StripSubprotocols", "OffersSubprotocol": "opening.OffersSubprotocol", "IsHandshake": "opening.IsHandshake",
}

// successes are the statuses that a handler writes without Refuse.
var successes = strings.Fields(`Continue SwitchingProtocols EarlyHints OK Created Accepted NoContent
	MovedPermanently Found SeeOther NotModified TemporaryRedirect PermanentRedirect`)

const (
	lineLimit   = 300
	refusalFile = "middleware/refusal.go"
)

var rules = map[string]func(tree) []string{
	"imports follow the arrows (the table in this file)":                          followArrows,
	"there is one websocket.Accept, in package ws: one way past the gate":         acceptOnce,
	"middleware.Refuse alone writes error responses (middleware/doc.go)":          refuseOnly,
	"no context.WithoutCancel: a context ends with what it bounds":                noWithoutCancel,
	"a Config starts with _ [0]func(): it is not comparable, so that it grows":    configsIncomparable,
	"every package says in its doc.go what it is for; in internal also elsewhere": packagesDocumented,
	"no exported name that was dropped for another (the table in this file)":      noDroppedNames,
	"no drawer: util, common, helper, types, core, misc":                          noDrawers,
	"a file has one concern and at most 300 lines; 250 are better":                filesShort,
	"the repository's root is a table of contents (the list in this file)":        rootTidy,
}

func TestArchitecture(t *testing.T) {
	tr := readModule(t)
	for name, rule := range rules {
		for _, found := range rule(tr) {
			t.Errorf("%s\n\t%s", found, name)
		}
	}
}

// tree is a module's non-test files and the names in its root.
type tree struct {
	files   []file
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

func followArrows(tr tree) []string {
	return tr.each(func(f file) (found []string) {
		allowed, known := imports[f.pkg]
		if !known {
			return []string{f.path + ": package is not in the table of arrows"}
		}
		for _, spec := range f.syntax.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			switch host, _, _ := strings.Cut(p, "/"); {
			case spec.Name != nil && spec.Name.Name == ".":
				found = append(found, f.at(spec.Pos(), "a dot import of %s hides what is used", p))
			case (host == "testing" || strings.Contains(host, ".")) && !slices.ContainsFunc(allowed, covers(p)):
				found = append(found, f.at(spec.Pos(), "%s may not import %s", f.pkg, p))
			}
		}
		return found
	})
}

func covers(imported string) func(string) bool {
	return func(allowed string) bool {
		if prefix, ok := strings.CutSuffix(allowed, "..."); ok {
			return strings.HasPrefix(imported, prefix)
		}
		below := strings.HasPrefix(imported, allowed+"/") && !strings.HasPrefix(allowed, module)
		return imported == allowed || below
	}
}

func acceptOnce(tr tree) []string {
	var inside, outside []string
	for _, f := range tr.files {
		for _, use := range f.uses("github.com/coder/websocket", "Accept") {
			if where := f.at(use.Pos(), "websocket.Accept"); f.pkg == "ws" {
				inside = append(inside, where)
			} else {
				outside = append(outside, where)
			}
		}
	}
	if len(inside) == 1 {
		return outside
	}
	return append(outside, fmt.Sprintf("package ws names websocket.Accept %d times: %q", len(inside), inside))
}

func refuseOnly(tr tree) []string {
	return tr.each(func(f file) (found []string) {
		if f.path == refusalFile {
			return nil
		}
		for _, use := range f.uses("net/http", "Error", "NotFound", "NotFoundHandler", "TimeoutHandler") {
			found = append(found, f.at(use.Pos(), "http.%s writes its own error text", use.Sel.Name))
		}
		for _, decl := range f.syntax.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv != nil && fn.Name.Name == "WriteHeader" {
				continue // a wrapper passes on what it is given
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) != 1 {
					return true
				}
				sel, ok := call.Fun.(*ast.SelectorExpr)
				if ok && sel.Sel.Name == "WriteHeader" && !f.succeeds(call.Args[0]) {
					found = append(found, f.at(call.Pos(), "WriteHeader with a status that is, or may be, an error"))
				}
				return true
			})
		}
		return found
	})
}

// succeeds reports whether status is a constant below 400.
func (f file) succeeds(status ast.Expr) bool {
	switch s := status.(type) {
	case *ast.BasicLit:
		n, err := strconv.Atoi(s.Value)
		return err == nil && n < 400
	case *ast.SelectorExpr:
		name, ok := strings.CutPrefix(s.Sel.Name, "Status")
		return ok && len(f.uses("net/http", s.Sel.Name)) > 0 && slices.Contains(successes, name)
	}
	return false
}

func noWithoutCancel(tr tree) []string {
	return tr.each(func(f file) (found []string) {
		for _, use := range f.uses("context", "WithoutCancel") {
			found = append(found, f.at(use.Pos(), "context.WithoutCancel"))
		}
		return found
	})
}

func configsIncomparable(tr tree) []string {
	return tr.each(func(f file) (found []string) {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || !spec.Name.IsExported() || !strings.HasSuffix(spec.Name.Name, "Config") {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok && !startsWithFuncs(s) {
				found = append(found, f.at(spec.Pos(), "%s does not start with _ [0]func()", spec.Name.Name))
			}
			return true
		})
		return found
	})
}

func startsWithFuncs(s *ast.StructType) bool {
	if s.Fields.NumFields() == 0 || len(s.Fields.List[0].Names) != 1 || s.Fields.List[0].Names[0].Name != "_" {
		return false
	}
	array, ok := s.Fields.List[0].Type.(*ast.ArrayType)
	if !ok {
		return false
	}
	length, ok := array.Len.(*ast.BasicLit)
	_, funcs := array.Elt.(*ast.FuncType)
	return ok && length.Value == "0" && funcs
}

func noDroppedNames(tr tree) []string {
	return tr.each(func(f file) (found []string) {
		if strings.HasPrefix(f.pkg, "internal/") {
			return nil
		}
		for _, name := range f.exported() {
			if instead, ok := dropped[name.Name]; ok {
				found = append(found, f.at(name.Pos(), "%s was replaced by %s", name.Name, instead))
			}
		}
		return found
	})
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

func packagesDocumented(tr tree) (found []string) {
	documented := map[string]bool{}
	for _, f := range tr.files {
		name := path.Base(f.path)
		ok := (name == "doc.go" || f.pkg == "internal/"+strings.TrimSuffix(name, ".go")) && strings.HasPrefix(f.syntax.Doc.Text(), "Package "+f.syntax.Name.Name+" ")
		documented[f.pkg] = documented[f.pkg] || ok
	}
	for _, pkg := range slices.Sorted(maps.Keys(documented)) {
		if !documented[pkg] {
			found = append(found, pkg+`: no doc.go with "Package `+path.Base(pkg)+` ..."`)
		}
	}
	return found
}

func noDrawers(tr tree) []string {
	drawers := strings.Fields("util utils common helper helpers types core misc")
	return tr.each(func(f file) []string {
		stem := strings.TrimSuffix(path.Base(f.path), ".go")
		if slices.Contains(drawers, stem) || slices.Contains(drawers, f.syntax.Name.Name) {
			return []string{f.path + ": a name that says nothing"}
		}
		return nil
	})
}

func filesShort(tr tree) []string {
	return tr.each(func(f file) []string {
		if n := f.fset.File(f.syntax.FileStart).LineCount(); n > lineLimit {
			return []string{fmt.Sprintf("%s: %d lines", f.path, n)}
		}
		return nil
	})
}

func rootTidy(tr tree) (found []string) {
	for _, name := range tr.entries {
		if !slices.Contains(topLevel, name) {
			found = append(found, name+": not in the table of top-level entries")
		}
	}
	return found
}
