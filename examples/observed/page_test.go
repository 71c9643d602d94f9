package main

import (
	"os"
	"strings"
	"testing"
)

// The code of docs/observability.md is that of tracing.go.
func TestPageHasTheTracing(t *testing.T) {
	page, err := os.ReadFile("../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("tracing.go")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "```go\n// traced")
	block, _, _ = strings.Cut("// traced"+block, "```")
	if len(block) < 500 || !strings.HasSuffix(string(source), block) {
		t.Errorf("it is not in tracing.go:\n%s", block)
	}
}
