package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every link to a file or a heading of the repository resolves.
func TestLinksResolve(t *testing.T) {
	t.Parallel()
	all, dir := pages(t), root(t)
	links := 0
	for _, p := range all {
		links += len(p.links)
		for _, fault := range brokenLinks(p, all, dir) {
			t.Error(fault)
		}
	}
	if links < 180 {
		t.Errorf("%d links", links)
	}
}

// brokenLinks returns the links of a page that lead nowhere, and the absolute ones that a clone
// would not follow.
func brokenLinks(p page, all map[string]page, dir string) (faults []string) {
	for _, l := range p.links {
		if strings.HasPrefix(l.target, "https://") {
			continue
		}
		name, anchor, anchored := strings.Cut(l.target, "#")
		target := path.Join(path.Dir(p.path), name)
		if name == "" {
			target = p.path
		}
		fault := ""
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(target))); err != nil && name != "" {
			fault = "there is no " + target
		} else if anchored && !slices.Contains(all[target].anchors, anchor) {
			fault = target + " has no heading for #" + anchor
		}
		if fault != "" || strings.Contains(l.target, "://") {
			faults = append(faults, fmt.Sprintf("%s:%d: (%s): %s", p.path, l.line, l.target, fault))
		}
	}
	return faults
}

var mention = regexp.MustCompile(`\bdocs/[\w/]+\.(?:md|svg|png)`)

// The documents that comments and messages of the code name are there.
func TestCodeNamesDocuments(t *testing.T) {
	t.Parallel()
	dir, mentions := root(t), 0
	each(t, func(name, text string) {
		if strings.HasPrefix(name, "internal/docs/") {
			return
		}
		for _, document := range mention.FindAllString(text, -1) {
			mentions++
			if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(document))); err != nil {
				t.Errorf("%s names %s: %v", name, document, err)
			}
		}
	}, ".go", ".ts", ".js", ".html")
	if mentions < 10 {
		t.Errorf("%d mentions", mentions)
	}
}

// A broken link is found, and a good one is not.
func TestLinksBite(t *testing.T) {
	t.Parallel()
	const text = "# A `b` of c's: d\n\n## Twice\n\n## Twice\n\n" +
		"[%s](%s)\n\n```\n[not a link](nowhere.md)\n```\n`[not a link](nowhere.md)`\n"
	dir := root(t)
	for target, good := range map[string]bool{
		"README.md":         true,
		"docs":              true,
		"#a-b-of-cs-d":      true,
		"#twice-1":          true,
		"https://x.example": true,
		"#twice-2":          false,
		"#nowhere":          false,
		"nowhere.md":        false,
		"README.md#nowhere": false,
		"http://x.example":  false,
		"../README.md":      false,
	} {
		p := read("A.md", fmt.Sprintf(text, "label", target))
		all := map[string]page{"A.md": p, "README.md": read("README.md", "# Read me\n")}
		if faults := brokenLinks(p, all, dir); (len(faults) == 0) != good {
			t.Errorf("(%s): %q", target, faults)
		}
	}
}

var commit = regexp.MustCompile("`([0-9a-f]{7})`")

// The commits of the decisions are in the history.
func TestDecisionsNameCommits(t *testing.T) {
	t.Parallel()
	dir, named := root(t), 0
	git := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = dir
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err
	}
	if shallow, err := git("rev-parse", "--is-shallow-repository"); err != nil || shallow != "false" {
		t.Skip("not a full clone: git fetch --unshallow")
	}
	for name, p := range pages(t) {
		if !strings.HasPrefix(name, "docs/decisions/") {
			continue
		}
		for _, found := range commit.FindAllStringSubmatch(p.text, -1) {
			named++
			if kind, err := git("cat-file", "-t", found[1]); err != nil || kind != "commit" {
				t.Errorf("%s: %s is not a commit: %v", name, found[1], err)
			}
		}
	}
	if named < 10 {
		t.Errorf("%d commits", named)
	}
}
