package middleware_test

import (
	"fmt"
	"go/ast"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

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
				continue // a wrapper passes its argument on
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

// structsSmall counts the fields of named structs. An embedded one counts as a field.
func structsSmall(tr tree) []string {
	return tr.each(func(f file) (found []string) {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || configures(spec.Name.Name) {
				return true
			}
			name := f.pkg + "." + spec.Name.Name
			if s, ok := spec.Type.(*ast.StructType); ok && s.Fields.NumFields() > max(fieldLimit, moreFields[name]) {
				found = append(found, f.at(spec.Pos(), "%s has %d fields: make two types of it", name, s.Fields.NumFields()))
			}
			return true
		})
		return found
	})
}

// configures reports whether a name is that of a configuration.
func configures(name string) bool {
	return slices.ContainsFunc([]string{"Config", "Limits", "Timeouts"}, func(end string) bool { return strings.HasSuffix(name, end) })
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

func packagesDocumented(tr tree) (found []string) {
	documented := map[string]bool{}
	for _, f := range tr.files {
		name := path.Base(f.path)
		ok := (name == "doc.go" || f.pkg == "internal/"+strings.TrimSuffix(name, ".go")) &&
			strings.HasPrefix(f.syntax.Doc.Text(), "Package "+f.syntax.Name.Name+" ")
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

// requireFew compares the direct requirements of go.mod with the list. One that is indirect may
// not be of chi or gorilla, which tests of other modules use.
func requireFew(tr tree) (found []string) {
	var direct []string
	for line := range strings.Lines(tr.mod) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) < 2 || !strings.Contains(fields[0], "/") || !strings.HasPrefix(fields[1], "v") {
			continue // no requirement
		}
		foreign := strings.HasPrefix(fields[0], "github.com/go-chi/") || strings.HasPrefix(fields[0], "github.com/gorilla/")
		switch indirect := len(fields) > 3 && fields[3] == "indirect"; {
		case foreign || !indirect && !slices.Contains(requirements, fields[0]):
			found = append(found, "go.mod: "+fields[0]+" is not in the list of requirements")
		case !indirect:
			direct = append(direct, fields[0])
		}
	}
	for _, name := range requirements {
		if !slices.Contains(direct, name) {
			found = append(found, "go.mod: "+name+" is in the list of requirements, and not direct")
		}
	}
	return found
}
