package docs

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
)

var update = flag.Bool("update", false, "write the generated tables of docs/reference.md anew")

const reference = "docs/reference.md"

var generated = regexp.MustCompile(`(?s)<!-- generated: ([\w.]+) -->\n(.*?)<!-- end -->`)

// The generated tables of the reference are those of the code.
func TestGeneratedTables(t *testing.T) {
	t.Parallel()
	sections := map[string]string{
		"ws.Limits":      fields(t, "ws", "Limits"),
		"ws.Timeouts":    fields(t, "ws", "Timeouts"),
		"live.Limits":    fields(t, "middleware/live", "Limits"),
		"live.Timeouts":  fields(t, "middleware/live", "Timeouts"),
		"session.Config": defaulted(t, "session", "session.Config"),
		"bearer.Config":  defaulted(t, "middleware/bearer", "bearer.Config"),
		"ticket.Config":  defaulted(t, "middleware/ticket", "ticket.Config"),
		"rate":           defaulted(t, "middleware", "middleware.RateLimitConfig"),
		"http.Server":    serverLimits(),
		"headers":        headers(t),
		"chat":           usage(t),
	}
	name := filepath.Join(root(t), filepath.FromSlash(reference))
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	written := generated.ReplaceAllStringFunc(string(text), func(section string) string {
		found := generated.FindStringSubmatch(section)
		want, known := sections[found[1]]
		if seen++; !known {
			t.Errorf("%s: nothing generates %s", reference, found[1])
		}
		if found[2] != want && !*update {
			t.Errorf("%s: %s is not that of the code; go test ./internal/docs -update writes it:\n%s", reference, found[1], want)
		}
		return fmt.Sprintf("<!-- generated: %s -->\n%s<!-- end -->", found[1], want)
	})
	if seen != len(sections) {
		t.Errorf("%s has %d generated tables, want %d", reference, seen, len(sections))
	}
	if *update {
		if err := os.WriteFile(name, []byte(written), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	}
}

// table returns the cells of the table of the reference under a heading, without its first two lines.
func table(t *testing.T, heading string) (rows [][]string) {
	t.Helper()
	_, section, found := strings.Cut(pages(t)[reference].text, "\n## "+heading+"\n")
	if !found {
		t.Fatalf("%s has no section %q", reference, heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	section, _, _ = strings.Cut(section, "\n### ")
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		if cells := strings.Split(strings.TrimSpace(line), " | "); len(cells) > 1 {
			cells[0] = strings.TrimPrefix(cells[0], "| ")
			rows = append(rows, cells)
		}
	}
	if len(rows) < 2 {
		t.Fatalf("%s: %d rows", heading, len(rows))
	}
	return rows[1:]
}

var codeWord = regexp.MustCompile("`([a-z0-9_]+)`")

// The refusals of the reference are the reasons of package middleware, with their statuses.
func TestRefusalsAreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	documented := map[string]string{}
	for _, row := range table(t, "Refusals") {
		for _, reason := range codeWord.FindAllStringSubmatch(row[1], -1) {
			documented[reason[1]] = row[0]
		}
	}
	compare(t, documented, statuses(t))
}

// The close codes of the reference are those of package ws.
func TestCloseCodesAreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	documented := map[string]string{"": ""}
	for _, row := range table(t, "Close codes") {
		for _, reason := range codeWord.FindAllStringSubmatch(row[1], -1) {
			documented[reason[1]] = row[0]
		}
	}
	delete(documented, "")
	code := map[string]string{}
	for _, e := range []*ws.CloseError{
		ws.ErrExpired, ws.ErrReauth, ws.ErrRevoked, ws.ErrForbidden, ws.ErrIdle, ws.ErrTimeout, ws.ErrProtocol, ws.ErrReadOnly,
		ws.ErrUTF8, ws.ErrRate, ws.ErrInvalid, ws.ErrTooBig, ws.ErrInternal, ws.ErrDraining, ws.ErrSlow, ws.ErrLater,
	} {
		code[e.Reason] = fmt.Sprint(int(e.Code))
	}
	if n := len(exportedErrors(t)); n != len(code)+1 { // ErrClosed has no reason
		t.Errorf("package ws has %d errors, and this test %d", n, len(code)+1)
	}
	compare(t, documented, code)
}

// The figures of the README are the bounds of the tests that it names.
func TestFiguresAreThoseOfTheTests(t *testing.T) {
	t.Parallel()
	readme := pages(t)["README.md"].text
	for _, figure := range []struct{ row, file, bound string }{
		{"| 8,500 bytes, 16,000 over TLS |", "ws/idle_test.go", `{{"plain", 8500}, {"tls", 16_000}}`},
		{"| 24 allocations, 27 with two log lines |", "ws/chain_test.go", "chainAllocs       = 24 "},
		{"| 24 allocations, 27 with two log lines |", "ws/chain_test.go", "loggedChainAllocs = 27 "},
		{"| less than 0.1 allocations a member |", "ws/group_bench_test.go", "if n/count >= 0.1 {"},
		{"| 6,000 bytes |", "ws/browser/build_test.go", "if len(small) > 6000 {"},
	} {
		source, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(figure.file)))
		if err != nil || !strings.Contains(string(source), figure.bound) {
			t.Errorf("%s has no %q: %v", figure.file, figure.bound, err)
		}
		if !strings.Contains(readme, figure.row) {
			t.Errorf("the README has no %q", figure.row)
		}
	}
}

func compare(t *testing.T, documented, code map[string]string) {
	t.Helper()
	for word, number := range code {
		if documented[word] != number {
			t.Errorf("%s has %q for %s, want %q", reference, documented[word], word, number)
		}
	}
	for word := range documented {
		if code[word] == "" {
			t.Errorf("%s has %s, which the code has not", reference, word)
		}
	}
}

func serverLimits() string {
	s := middleware.NewServer("", nil)
	return fmt.Sprintf(`| limit | value |
|---|---|
| ReadHeaderTimeout | %v |
| ReadTimeout | %v |
| WriteTimeout | %v |
| IdleTimeout | %v |
| MaxHeaderBytes | %d, to which net/http adds 4,096 |
`, s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout, s.MaxHeaderBytes)
}
