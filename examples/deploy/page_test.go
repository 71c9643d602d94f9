package main

import (
	"os"
	"strings"
	"testing"
)

// printed returns the configuration that docs/deploy.md has under this heading, of the second
// or third level: the one block of code there in the named language.
func printed(t *testing.T, heading, language string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "## "+heading+"\n")
	if !found {
		t.Fatalf("docs/deploy.md has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	section, _, _ = strings.Cut(section, "\n### ")
	if n := strings.Count(section, "\n```"+language+"\n"); n != 1 {
		t.Fatalf("%s has %d blocks in %q, want 1", heading, n, language)
	}
	_, block, _ := strings.Cut(section, "\n```"+language+"\n")
	block, _, _ = strings.Cut(block, "\n```\n")
	return block + "\n"
}

// filled replaces ports, paths and times of a configuration. Each must be there.
func filled(t *testing.T, text string, places ...map[string]string) string {
	t.Helper()
	var pairs []string
	for _, some := range places {
		for old, place := range some {
			if !strings.Contains(text, old) {
				t.Fatalf("the page's configuration has no %q", old)
			}
			pairs = append(pairs, old, place)
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// The wiring that the page prints is that of the service behind the proxies.
func TestPageShowsTheService(t *testing.T) {
	t.Parallel()
	service, err := os.ReadFile("routes.go")
	if err != nil {
		t.Fatal(err)
	}
	squeezed := strings.Join(strings.Fields(string(service)), " ")
	for line := range strings.Lines(printed(t, "The service", "go")) {
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(squeezed, strings.Join(strings.Fields(line), " ")) {
			t.Errorf("the page has a line that routes.go has not: %s", line)
		}
	}
}
