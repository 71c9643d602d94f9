package docs

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

func parsed(t *testing.T, path string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// inspect visits the files of a package.
func inspect(t *testing.T, pkg string, visit func(ast.Node) bool) {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join(root(t), filepath.FromSlash(pkg), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sources {
		if !strings.HasSuffix(name, "_test.go") {
			ast.Inspect(parsed(t, name), visit)
		}
	}
}

// structure returns the fields of a struct of a package.
func structure(t *testing.T, pkg, name string) []*ast.Field {
	t.Helper()
	var found []*ast.Field
	inspect(t, pkg, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.Name == name {
			if s, ok := spec.Type.(*ast.StructType); ok {
				found = s.Fields.List
			}
		}
		return true
	})
	if len(found) == 0 {
		t.Fatalf("%s has no struct %s", pkg, name)
	}
	return found
}

var documentLink = regexp.MustCompile(`\[([\w.]+)\]`)

// cell returns the text of a comment for a table.
func cell(comment string) string {
	text := strings.ReplaceAll(strings.Join(strings.Fields(comment), " "), "|", `\|`)
	return documentLink.ReplaceAllString(text, "`$1`")
}

// fields returns a table of a struct: the meaning of each field, its default, and the effect of
// exceeding it. Packages ws and live test that the comments name the right values.
func fields(t *testing.T, pkg, name string) string {
	t.Helper()
	var table strings.Builder
	table.WriteString("| field | bounds | default | beyond it |\n|---|---|---|---|\n")
	for _, field := range structure(t, pkg, name) {
		if len(field.Names) == 0 || !field.Names[0].IsExported() {
			continue
		}
		meaning, value, beyond := "", "", ""
		for _, part := range parts(field) {
			if found := defaultOf.FindStringSubmatch(part); found != nil {
				value = found[1]
			} else if found := beyondOf.FindStringSubmatch(part); found != nil {
				beyond = found[1]
			} else {
				meaning = strings.TrimPrefix(meaning+"; "+part, "; ")
			}
		}
		if value == "" {
			t.Errorf("%s.%s.%s has no default", pkg, name, field.Names[0])
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", field.Names[0], meaning, value, beyond)
	}
	return table.String()
}

var (
	defaultOf = regexp.MustCompile(`^[Dd]efault:? (.*)$`)
	beyondOf  = regexp.MustCompile(`^(?:[Bb]eyond:|[Tt]hen) (.*)$`)
)

// parts returns those of a comment at the end of a line, or the sentences of one above, without
// the name of the field.
func parts(field *ast.Field) (found []string) {
	if field.Comment != nil {
		return strings.Split(cell(field.Comment.Text()), "; ")
	}
	for _, s := range sentence.FindAllString(cell(field.Doc.Text()), -1) {
		s = strings.TrimSuffix(strings.TrimSpace(s), ".")
		for _, verb := range []string{" is ", " are ", " "} {
			s = strings.TrimPrefix(s, field.Names[0].Name+verb)
		}
		found = append(found, s)
	}
	return found
}

// namesDefault matches the sentence of a comment that names the default of a field.
var namesDefault = regexp.MustCompile(`(?i)\bdefault\b|\b(?:nil|zero|empty): `)

var sentence = regexp.MustCompile(`[^.]*(?:\.\S[^.]*)*\.(?: |$)`)

// defaulted returns a table of the fields of a Config whose comments name a default, with the
// sentences that do.
func defaulted(t *testing.T, pkg, name string) string {
	t.Helper()
	_, local, _ := strings.Cut(name, ".")
	var table strings.Builder
	fmt.Fprintf(&table, "| field of `%s` | default |\n|---|---|\n", name)
	rows := 0
	for _, field := range structure(t, pkg, local) {
		var said []string
		for _, s := range sentence.FindAllString(cell(field.Doc.Text()), -1) {
			if namesDefault.MatchString(s) && !strings.Contains(s, "slog.Default") {
				said = append(said, strings.TrimSpace(s))
			}
		}
		if len(said) > 0 {
			rows++
			fmt.Fprintf(&table, "| %s | %s |\n", field.Names[0], strings.Join(said, " "))
		}
	}
	if rows < 2 {
		t.Errorf("%s names %d defaults", name, rows)
	}
	return table.String()
}

// statuses returns the status of each reason, from the two tables of middleware/reason.go.
func statuses(t *testing.T) map[string]string {
	t.Helper()
	words, found := map[string]string{}, map[string]string{}
	ast.Inspect(parsed(t, filepath.Join(root(t), "middleware", "reason.go")), func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			if literal, ok := n.Values[0].(*ast.BasicLit); ok {
				words[n.Names[0].Name], _ = strconv.Unquote(literal.Value)
			}
		case *ast.KeyValueExpr:
			found[words[n.Key.(*ast.Ident).Name]] = n.Value.(*ast.BasicLit).Value
		}
		return true
	})
	if len(found) < 25 {
		t.Fatalf("%d reasons", len(found))
	}
	return found
}

func exportedErrors(t *testing.T) (names []string) {
	t.Helper()
	inspect(t, "ws", func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Err") {
			names = append(names, spec.Names[0].Name)
		}
		return true
	})
	return names
}

// headers returns those of a response through a zero HeadersConfig.
func headers(t *testing.T) string {
	t.Helper()
	h, err := middleware.NewHeaders(middleware.HeadersConfig{})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "https://app.example/api", nil)
	h.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	var table strings.Builder
	table.WriteString("| header | value |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(w.Header())) {
		fmt.Fprintf(&table, "| `%s` | `%s` |\n", name, strings.Join(w.Header()[name], ", "))
	}
	return table.String()
}

// usage returns the flags of the chat.
func usage(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "run", "./examples/chat", "-h")
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil && !strings.Contains(stderr.String(), "Usage of chat:") {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var text strings.Builder
	for line := range strings.Lines(stderr.String()) {
		if strings.HasPrefix(line, " ") {
			text.WriteString(strings.ReplaceAll(line, "\t", "    "))
		}
	}
	return "```text\n" + text.String() + "```\n"
}
