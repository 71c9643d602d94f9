package middleware_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mostUpward is the share of the uses between files of a package that may run upwards, in percent.
const mostUpward = 15.0

// In an order of a package's files, each uses files after it. If two use each other they can only be
// understood together, and one of the two uses runs upwards in any order. The share is that of the
// best order found; `go test ./middleware -run UsesBetweenFiles -v` prints it for each package.
func TestUsesBetweenFilesRunDownwards(t *testing.T) {
	t.Parallel()
	for _, p := range packagesOf(t, repository(t), "./...") {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		t.Run(name, func(t *testing.T) {
			uses := p.uses(t)
			order, upward := uses.bestOrder()
			total := uses.total()
			share := 100 * float64(upward) / float64(max(1, total))
			t.Logf("%s: %.1f %%, %d of %d uses between files run upwards", name, share, upward, total)
			if share > mostUpward {
				t.Errorf("want at most %.0f %%:\n%s", mostUpward, uses.upwardUses(order))
			}
		})
	}
}

// checkedPackage is a package as `go list` describes it, with the types of its imports.
type checkedPackage struct {
	ImportPath, Dir string
	GoFiles         []string
	Export          string
	DepOnly         bool
	exports         map[string]string // by import path
}

// packagesOf lists the packages of a pattern.
func packagesOf(t *testing.T, dir, pattern string) []checkedPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,GoFiles,Export,DepOnly", pattern)
	cmd.Dir = dir
	var failure bytes.Buffer
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, &failure)
	}
	exports := map[string]string{}
	var packages []checkedPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		p := checkedPackage{exports: exports}
		if err := d.Decode(&p); err == io.EOF {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if !p.DepOnly {
			packages = append(packages, p)
		}
	}
}

// fileUses says how many identifiers in one file of a package stand for declarations in another: for
// its functions, types, variables, constants, methods or fields. If there are any, the one file uses the
// other.
type fileUses struct {
	files       []string
	identifiers [][]int // [from][to]
}

// uses checks the types of the package and counts.
func (p checkedPackage) uses(t *testing.T) fileUses {
	t.Helper()
	set := token.NewFileSet()
	var files []*ast.File
	u := fileUses{files: p.GoFiles}
	index := map[string]int{}
	for i, name := range p.GoFiles {
		path := filepath.Join(p.Dir, name)
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
		index[path] = i
		u.identifiers = append(u.identifiers, make([]int, len(p.GoFiles)))
	}
	config := types.Config{Importer: importer.ForCompiler(set, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(p.exports[path])
	})}
	info := types.Info{Uses: map[*ast.Ident]types.Object{}}
	checked, err := config.Check(p.ImportPath, set, files, &info)
	if err != nil {
		t.Fatal(err)
	}
	for id, used := range info.Uses {
		if used.Pkg() != checked || used.Pos() == token.NoPos {
			continue
		}
		from, to := index[set.Position(id.Pos()).Filename], index[set.Position(used.Pos()).Filename]
		if from != to {
			u.identifiers[from][to]++
		}
	}
	return u
}

// use is 1 if one file uses another, or else 0.
func (u fileUses) use(from, to int) int { return min(1, u.identifiers[from][to]) }

func (u fileUses) total() (n int) {
	for from := range u.files {
		for to := range u.files {
			n += u.use(from, to)
		}
	}
	return n
}

// bestOrder searches for the order of files in which the fewest uses run upwards: it moves single
// files while that helps, from several beginnings.
func (u fileUses) bestOrder() (best []int, fewest int) {
	random := rand.New(rand.NewPCG(1, 2))
	fewest = u.total() + 1
	for range 30 {
		order := random.Perm(len(u.files))
		for u.improve(order) {
		}
		if n := u.upward(order); n < fewest {
			best, fewest = order, n
		}
	}
	return best, fewest
}

// improve moves each file to its best place; false if all stand there.
func (u fileUses) improve(order []int) (better bool) {
	for _, file := range slices.Clone(order) {
		from := slices.Index(order, file)
		to, least := from, 0
		for _, step := range []int{1, -1} {
			change := 0
			for at := from + step; at >= 0 && at < len(order); at += step {
				other := order[at]
				change += step * (u.use(file, other) - u.use(other, file))
				if change < least {
					to, least = at, change
				}
			}
		}
		if to != from {
			better = true
			copy(order, slices.Insert(slices.Delete(slices.Clone(order), from, from+1), to, file))
		}
	}
	return better
}

// upward counts the uses of a file by one after it.
func (u fileUses) upward(order []int) (n int) {
	for i, file := range order {
		for _, above := range order[:i] {
			n += u.use(file, above)
		}
	}
	return n
}

// upwardUses lists them, a line for each pair of files.
func (u fileUses) upwardUses(order []int) string {
	var b strings.Builder
	for i, file := range order {
		for _, above := range order[:i] {
			if n := u.identifiers[file][above]; n > 0 {
				fmt.Fprintf(&b, "%s uses %s, %d times\n", u.files[file], u.files[above], n)
			}
		}
	}
	return b.String()
}
