package middleware_test

import (
	"bufio"
	"bytes"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// phrases are constructions that read as a translation, with the plain one in their names. The
// standard library and the dependencies of this module have fewer than 0.7 of each in 1,000 words.
var phrases = map[string]*regexp.Regexp{
	`"where" for "if"`: regexp.MustCompile(`(?i)\bwhere (it|there|that|the|they|he|she|a|an|one|nobody|none|some|this|` +
		`what|we|nothing|both|all)\b`),
	`"what" for a noun`: regexp.MustCompile(`(?i)\b(what|whatever) ` +
		`(is|are|was|has|it|they|the|a|stands|comes|goes|costs|ends|we|follows|waits|does|` +
		`can|cannot|may|must|no|have|nobody|that|those)\b`),
	`people for programs`:  regexp.MustCompile(`(?i)\b(nobody|somebody|anybody|everybody|whoever|who is|such a one)\b`),
	`"is no" for "is not"`: regexp.MustCompile(`(?i)\b(is|are|was|were) no\b`),
	`words out of use`: regexp.MustCompile(`(?i)\b(goodbye|heed|heeds|unasked|at hand|all the same|as it ` +
		`is|further out|further in|in the way of)\b`),
}

// mostPhrases is how many of each a package or document may have in 1,000 words.
const mostPhrases = 1

var (
	word         = regexp.MustCompile(`[A-Za-z']+`)
	scriptLine   = regexp.MustCompile(`^(?:.*\s)?//\s?(.*)$|^\s*/?\*+\s?(.*)$`)
	fenceOfBlock = []byte("```")
)

// Every package and document of the repository, those of the other modules too.
func TestProse(t *testing.T) {
	t.Parallel()
	root := repository(t)
	texts := map[string][]string{} // by package or document
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if name != root && (d.Name()[0] == '.' || slices.Contains([]string{"testdata", "node_modules", "dist"}, d.Name())) {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		unit := path.Dir(rel)
		var read func([]byte) []string
		switch {
		case strings.HasSuffix(rel, ".md"):
			unit, read = rel, proseOfDocument
		case strings.HasSuffix(rel, ".go"):
			read = commentsOfGo
		case strings.HasSuffix(rel, ".ts") && !strings.HasSuffix(rel, ".d.ts"):
			read = commentsOfScript
		default:
			return nil
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		texts[unit] = append(texts[unit], read(src)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for unit, lines := range texts {
		for phrase, found := range overused(lines) {
			t.Errorf("%s: %s, %d times: %q", unit, phrase, len(found), found)
		}
	}
	if len(texts) < 30 {
		t.Errorf("%d packages and documents were read", len(texts))
	}
}

// repository returns the directory with go.work.
func repository(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if !exists(dir, "go.work") {
		t.Skip("this copy of the module is not in its repository")
	}
	return dir
}

// overused returns the phrases that stand too often in the lines.
func overused(lines []string) map[string][]string {
	words, found := 0, map[string][]string{}
	for _, line := range lines {
		words += len(word.FindAllString(line, -1))
		for name, phrase := range phrases {
			found[name] = append(found[name], phrase.FindAllString(line, -1)...)
		}
	}
	for name, hits := range found {
		if len(hits)*1000 <= mostPhrases*words {
			delete(found, name)
		}
	}
	return found
}

func commentsOfGo(src []byte) (lines []string) {
	file := token.NewFileSet().AddFile("", -1, len(src))
	var s scanner.Scanner
	s.Init(file, src, nil, scanner.ScanComments)
	for {
		_, tok, text := s.Scan()
		switch {
		case tok == token.EOF:
			return lines
		case tok == token.COMMENT && !strings.HasPrefix(text, "//go:"):
			lines = append(lines, strings.Split(text, "\n")...)
		}
	}
}

func commentsOfScript(src []byte) (lines []string) {
	for s := bufio.NewScanner(bytes.NewReader(src)); s.Scan(); {
		if found := scriptLine.FindStringSubmatch(s.Text()); found != nil {
			lines = append(lines, found[1]+found[2])
		}
	}
	return lines
}

// proseOfDocument leaves code blocks out.
func proseOfDocument(src []byte) (lines []string) {
	code := false
	for s := bufio.NewScanner(bytes.NewReader(src)); s.Scan(); {
		switch fence := bytes.HasPrefix(bytes.TrimSpace(s.Bytes()), fenceOfBlock); {
		case fence:
			code = !code
		case !code:
			lines = append(lines, s.Text())
		}
	}
	return lines
}

// Each phrase is found, in each kind of source, and plain ones are not.
func TestProseBites(t *testing.T) {
	t.Parallel()
	for text, phrase := range map[string]string{
		"Where the queue is full, it is closed.":                              `"where" for "if"`,
		"It returns what the peer has sent.":                                  `"what" for a noun`,
		"Nobody is told.":                                                     `people for programs`,
		"There is no such key; it is no failure.":                             `"is no" for "is not"`,
		"The connection ends unasked.":                                        `words out of use`,
		"If the queue is full, the connection ends and the peer is not told.": "",
	} {
		for kind, lines := range map[string][]string{
			"Go":       commentsOfGo([]byte("package p\n\n// " + text + "\nvar x = `// Nobody is no heed where the` // " + text + "\n")),
			"script":   commentsOfScript([]byte("/** " + text + " */\nlet x = 1; // " + text + "\n")),
			"Markdown": proseOfDocument([]byte("# Title\n\n" + text + "\n\n```go\n// Nobody is no heed where the\n```\n")),
		} {
			found := overused(lines)
			if len(found[phrase]) == 0 && phrase != "" || phrase == "" && len(found) > 0 {
				t.Errorf("%s: %q: %q, want %q", kind, text, found, phrase)
			}
		}
	}
}
