package live

import (
	"os"
	"strings"
	"testing"
)

// The layer that docs/bound.md shows is that of the compiled example.
func TestDocumentShowsTheExample(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/bound.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("example_proxy_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(program), "\nfunc endInOrder(")
	body, _, found := strings.Cut(after, "\n}\n")
	if !found || !strings.Contains(string(document), "\nfunc endInOrder("+body+"\n}\n") {
		t.Error("docs/bound.md does not have endInOrder of example_proxy_test.go")
	}
}
