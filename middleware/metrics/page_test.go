package metrics_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// page returns the text of docs/observability.md, or that of one of its sections.
func page(t *testing.T, section string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/observability.md")
	must(t, err)
	_, rest, found := strings.Cut(string(text), "\n## "+section+"\n")
	if !found {
		t.Fatalf("docs/observability.md has no section %q", section)
	}
	body, _, _ := strings.Cut(rest, "\n## ")
	return body
}

var tableRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]*) \\|(?: ([^|]*) ?\\|)?")

// The page has each metric of a scrape, with its type and its labels, and no other.
func TestPageHasTheMetrics(t *testing.T) {
	printed := map[string]string{}
	for _, row := range tableRow.FindAllStringSubmatch(page(t, "Metrics"), -1) {
		labels := strings.NewReplacer("`", "", " ", "").Replace(row[3])
		printed[row[1]] = strings.TrimSpace(row[2]) + " " + labels
	}
	scraped := map[string]string{}
	for name, family := range busy(t).scrape() {
		var labels []string
		for _, l := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		scraped[name] = strings.ToLower(family.GetType().String()) + " " + strings.Join(labels, ",")
	}
	for _, name := range slices.Sorted(maps.Keys(scraped)) {
		if printed[name] != scraped[name] {
			t.Errorf("%s: the page has %q, the scrape %q", name, printed[name], scraped[name])
		}
		delete(printed, name)
	}
	if len(printed) > 0 {
		t.Errorf("the page has %v, which no scrape has", printed)
	}
}

// The program of the page is that of the example, which is compiled.
func TestPageHasTheExample(t *testing.T) {
	_, block, _ := strings.Cut(page(t, "Wiring"), "```go\n")
	block, _, _ = strings.Cut(block, "```")
	example, err := os.ReadFile("example_test.go")
	must(t, err)
	indented := regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(block, "\t$1")
	if lines := strings.Count(block, "\n"); lines < 10 || lines > 20 || !strings.Contains(string(example), indented) {
		t.Errorf("the %d lines of the page are not in example_test.go:\n%s", lines, indented)
	}
}

// The alerts name metrics, codes and reasons that there are.
func TestAlertsNameSeriesThatThereAre(t *testing.T) {
	x := busy(t).scrape()
	series := x.series()
	alerts := page(t, "Alerts")
	names := regexp.MustCompile(`securews_\w+`).FindAllString(alerts, -1)
	if len(names) < 10 {
		t.Fatalf("%q", names)
	}
	for _, name := range names {
		if _, ok := x[strings.TrimSuffix(name, "_bucket")]; !ok {
			t.Errorf("no metric %s", name)
		}
	}
	for _, match := range regexp.MustCompile(`(securews_\w+)\{([^}]*)\}`).FindAllStringSubmatch(alerts, -1) {
		name, labels := strings.TrimSuffix(match[1], "_bucket"), strings.ReplaceAll(match[2], `"`, "")
		if !slices.ContainsFunc(series, func(s string) bool { return strings.HasPrefix(s, name+"{") && strings.Contains(s, labels) }) {
			t.Errorf("no series %s{%s}", name, labels)
		}
	}
}

// Each log line of the page stands in the sources.
func TestPageHasLogLinesOfTheSources(t *testing.T) {
	var sources strings.Builder
	for _, dir := range []string{"../../middleware", "../../ws"} {
		must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			sources.Write(text)
			return err
		}))
	}
	whole := regexp.MustCompile(`" \+\n\s*"`).ReplaceAllString(sources.String(), "") // a line may be written in parts
	rows := tableRow.FindAllStringSubmatch(page(t, "Logs"), -1)
	if len(rows) < 10 {
		t.Fatalf("%q", rows)
	}
	for _, row := range rows {
		if !regexp.MustCompile(`(?i:log).*"` + regexp.QuoteMeta(row[1]) + `"`).MatchString(whole) {
			t.Errorf("no line %q is logged", row[1])
		}
	}
}
