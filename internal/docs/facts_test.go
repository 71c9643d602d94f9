package docs

import (
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/internal/defaults"
)

// file returns the text of a file of the repository.
func file(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The README asks for the release of Go in go.mod.
func TestReleaseOfGo(t *testing.T) {
	t.Parallel()
	found := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(file(t, "go.mod"))
	if found == nil || !strings.Contains(file(t, "README.md"), "need Go "+found[1]+" or later") {
		t.Errorf("go.mod has %q, and the README another release", found)
	}
}

// The libraries that the documents compare have the versions that the tests run.
func TestVersionsOfLibraries(t *testing.T) {
	t.Parallel()
	required := file(t, "examples/upgraders/go.mod")
	versions := 0
	for _, name := range []string{"README.md", "docs/bound.md"} {
		text := file(t, name)
		for _, library := range []struct{ label, module string }{
			{"coder", "github.com/coder/websocket"},
			{"coder/websocket", "github.com/coder/websocket"},
			{"nhooyr.io/websocket", "nhooyr.io/websocket"},
			{"gorilla", "github.com/gorilla/websocket"},
			{"gorilla/websocket", "github.com/gorilla/websocket"},
			{"gws", "github.com/lxzan/gws"},
			{"centrifuge", "github.com/centrifugal/centrifuge"},
			{"gobwas/ws", "github.com/gobwas/ws"},
			{"olahol/melody", "github.com/olahol/melody"},
			{"golang.org/x/net/websocket", "golang.org/x/net"},
			{"otelhttp", "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"},
			{"MCP Go SDK", "github.com/modelcontextprotocol/go-sdk"},
		} {
			version := regexp.MustCompile(`\b` + regexp.QuoteMeta(library.label) + ` (\d+\.\d+\.\d+)`)
			for _, found := range version.FindAllStringSubmatch(text, -1) {
				versions++
				if !strings.Contains(required, "\t"+library.module+" v"+found[1]+"\n") {
					t.Errorf("%s has %s %s, and the tests run another version", name, library.label, found[1])
				}
			}
		}
	}
	if versions < 14 {
		t.Errorf("%d versions", versions)
	}
}

// The README counts the products that package bearer has a Profile for.
func TestProductsOfTokens(t *testing.T) {
	t.Parallel()
	profiles := 0
	inspect(t, "middleware/bearer", func(n ast.Node) bool {
		if fn, ok := n.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.IsExported() && fn.Type.Results != nil {
			if id, ok := fn.Type.Results.List[0].Type.(*ast.Ident); ok && id.Name == "Profile" {
				profiles++
				if !strings.Contains(file(t, "docs/providers.md"), "bearer."+fn.Name.Name+"()") {
					t.Errorf("docs/providers.md has no %s", fn.Name.Name)
				}
			}
		}
		return true
	})
	counted := map[int]string{10: "ten", 11: "eleven", 12: "twelve", 13: "thirteen"}[profiles]
	if counted == "" || !strings.Contains(file(t, "README.md"), "["+counted+" products](docs/providers.md)") {
		t.Errorf("%d Profiles, and the README counts others", profiles)
	}
}

// The defaults of the clients page are those that the server and both clients share.
func TestDefaultsOfClients(t *testing.T) {
	t.Parallel()
	page := file(t, "docs/clients.md")
	seconds := func(d time.Duration) string { return fmt.Sprintf("%v s", d.Seconds()) }
	for _, row := range []string{
		fmt.Sprintf("then holds | %d KiB |", defaults.Message>>10),
		fmt.Sprintf("waiting to be sent | 1,%03d and %d MiB |", defaults.QueueMessages-1000, defaults.QueueBytes>>20),
		"and for the handshake | " + seconds(defaults.Dial) + " each |",
		"one message | " + seconds(defaults.Write) + " | the connection is cut |",
		fmt.Sprintf("a silent server | %v-", (defaults.Heartbeat*4/5).Seconds()) +
			seconds(defaults.Heartbeat) + " + " + seconds(defaults.Pong) + " |",
		"close frame | " + seconds(defaults.Close) + " |",
		"The window starts at " + seconds(defaults.FirstDelay) + " and doubles up to " + seconds(defaults.LastDelay) + ".",
		"it starts at " + seconds(defaults.Spread) + " instead",
		"it has lived for " + seconds(defaults.Stable),
		fmt.Sprintf("capped at %v minutes", defaults.RetryAfter.Minutes()),
	} {
		if !strings.Contains(strings.Join(strings.Fields(page), " "), row) {
			t.Errorf("docs/clients.md has no %q", row)
		}
	}
}

var setting = regexp.MustCompile("(?m)^\\| `(session\\.Config|live\\.Timeouts)\\.(\\w+)` \\| ([^|]+) \\|")

// The defaults that docs/nodes.md repeats are those of the reference.
func TestDefaultsOfNodes(t *testing.T) {
	t.Parallel()
	found := setting.FindAllStringSubmatch(file(t, "docs/nodes.md"), -1)
	if len(found) < 3 {
		t.Fatalf("%d settings", len(found))
	}
	for _, row := range found {
		_, section, _ := strings.Cut(file(t, reference), "<!-- generated: "+row[1]+" -->")
		section, _, _ = strings.Cut(section, "<!-- end -->")
		_, line, _ := strings.Cut(section, "\n| "+row[2]+" |")
		line, _, _ = strings.Cut(line, "\n")
		if !strings.Contains(line, " "+row[3]) {
			t.Errorf("docs/nodes.md has %s for %s.%s, and the reference %q", row[3], row[1], row[2], line)
		}
	}
}

// A block of code is in a language that a test reads: here, or in examples/deploy (configurations of
// proxies) and middleware/redis (conf). The pages say that no test runs their blocks of yaml; html is
// one fragment of a page.
func TestLanguagesOfBlocks(t *testing.T) {
	t.Parallel()
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if !strings.Contains(" go js sh text nginx haproxy caddyfile conf html yaml ", " "+b.language+" ") {
				t.Errorf("%s:%d: no test reads %q", b.path, b.line, b.language)
			}
		}
	}
}
