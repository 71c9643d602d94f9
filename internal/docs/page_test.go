package docs

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// page is a document: its anchors, its links and its blocks of code.
type page struct {
	path    string // from the repository's root, with slashes
	text    string
	anchors []string
	links   []link
	blocks  []block
}

type link struct {
	line   int
	target string
}

// block is a fenced block of code. A comment of the form <!-- go: ... --> in front of it has the
// declarations that a fragment of Go needs, in Go, and with "in func() T" the function around it.
type block struct {
	path, language string
	line           int // of its first line of code
	text, preamble string
}

var (
	heading    = regexp.MustCompile(`^#{1,6} (.*)$`)
	inlineLink = regexp.MustCompile(`!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)`)
	inlineCode = regexp.MustCompile("`[^`]*`")
	linkText   = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	imageOf    = regexp.MustCompile(`<(?:img|source)[^>]* (?:src|srcset)="([^"]+)"`)
)

// root returns the directory with go.work.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.work")); err != nil {
		t.Skip("this copy of the module is not in its repository")
	}
	return dir
}

// each calls do for the files of the repository with one of the endings.
func each(t *testing.T, do func(path, text string), endings ...string) {
	t.Helper()
	dir := root(t)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if name != dir && (d.Name() == ".git" || slices.Contains([]string{"testdata", "node_modules", "dist"}, d.Name())) {
				return fs.SkipDir
			}
			return nil
		case !slices.Contains(endings, filepath.Ext(name)):
			return nil
		}
		text, err := os.ReadFile(name)
		rel, _ := filepath.Rel(dir, name)
		do(filepath.ToSlash(rel), string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// pages returns the documents of the repository by path.
func pages(t *testing.T) map[string]page {
	t.Helper()
	found := map[string]page{}
	each(t, func(path, text string) { found[path] = read(path, text) }, ".md", ".txt")
	if len(found) < 10 {
		t.Fatalf("%d documents", len(found))
	}
	return found
}

// read parses a document.
func read(path, text string) page {
	p := page{path: path, text: text}
	var code *block
	var comment strings.Builder
	commenting, preamble := false, ""
	line := 0
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		line++
		row := s.Text()
		fence := strings.HasPrefix(strings.TrimSpace(row), "```")
		switch {
		case code != nil && fence:
			p.blocks = append(p.blocks, *code)
			code = nil
		case code != nil:
			code.text += row + "\n"
		case fence:
			code = &block{path: path, language: strings.TrimPrefix(strings.TrimSpace(row), "```"), line: line + 1, preamble: preamble}
			preamble = ""
		case commenting || strings.HasPrefix(row, "<!-- go:"):
			row, end := strings.CutSuffix(strings.TrimPrefix(row, "<!-- go:"), "-->")
			comment.WriteString(strings.TrimSpace(row) + "\n")
			if commenting = !end; end {
				preamble = comment.String()
				comment.Reset()
			}
		default:
			p.readProse(line, row)
		}
	}
	return p
}

func (p *page) readProse(line int, row string) {
	if found := heading.FindStringSubmatch(row); found != nil {
		p.anchors = append(p.anchors, p.unique(slug(found[1])))
	}
	plain := inlineCode.ReplaceAllString(row, "`code`")
	for _, found := range append(inlineLink.FindAllStringSubmatch(plain, -1), imageOf.FindAllStringSubmatch(plain, -1)...) {
		p.links = append(p.links, link{line, found[1]})
	}
}

// slug is the anchor that the hosting sites make of a heading.
func slug(heading string) string {
	heading = linkText.ReplaceAllString(heading, "$1")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(heading))
}

// unique numbers an anchor that the page has already.
func (p *page) unique(anchor string) string {
	name := anchor
	for n := 1; slices.Contains(p.anchors, name); n++ {
		name = anchor + "-" + strconv.Itoa(n)
	}
	return name
}
