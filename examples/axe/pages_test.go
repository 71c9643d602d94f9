package axe_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/securews/securews/examples/internal/pages"
)

// views are the views of each page, in order: a step leads from one to the next.
var views = []struct {
	example string
	views   []view
}{
	{"chat", []view{
		{name: "sign in", until: `document.activeElement.id === "user"`},
		{name: "a wrong password", do: signIn("alice", "wrong"), until: `document.querySelector("#sign-in-error").checkVisibility()`},
		{
			name: "a room", until: `document.querySelector("#state").dataset.state === "connected"`,
			do: signIn("alice", "{password}"),
		},
		{name: "messages", do: say, until: `document.querySelector(".message")`},
		{name: "rooms on a phone", do: `document.querySelector("#side-toggle").click()`, until: `document.querySelector("#side.is-open")`},
		{
			name: "the sealed room", do: `document.querySelector("#sealed-room").click()`,
			until: `document.querySelector("#state-text").textContent === "Connected, sealed"`,
		},
		{name: "the panel", do: `document.querySelector("#panel-toggle").click()`, until: `document.querySelector("#connections li")`},
		{
			name: "devices", do: `document.querySelector("#panel-close").click(); document.querySelector("#account").click()`,
			until: `document.querySelector(".device")`,
		},
		{
			name: "offline", do: `document.querySelector("#devices-close").click(); dispatchEvent(new Event("offline"))`,
			until: `document.querySelector("#banner").checkVisibility()`,
		},
		{
			name: "signed out", do: `document.querySelector("#sign-out").click()`,
			until: `document.querySelector("#notice").checkVisibility()`,
		},
	}},
	{"feed", []view{{name: "the number", until: `/\d/.test(document.querySelector("#number").textContent)`}}},
	{"upgraders", []view{
		{name: "sign in", until: `document.querySelector("#sign-in").checkVisibility()`},
		{
			name: "connected", do: `document.querySelector("#sign-in").click()`,
			until: `document.querySelectorAll("[data-state=open]").length > 5`,
		},
		{
			name: "signed out", do: `document.querySelector("#sign-out").click()`,
			until: `document.querySelectorAll("[data-state=ended]").length > 5`,
		},
	}},
}

type view struct {
	name  string
	do    string // JavaScript; {password} is alice's
	until string // true once the view is there
}

const say = `document.querySelector("#text").value = "hello"; document.querySelector("#composer").requestSubmit()`

func signIn(user, password string) string {
	return `document.querySelector("#user").value = "` + user + `"; document.querySelector("#password").value = "` + password + `";
		document.querySelector("#sign-in-form").requestSubmit()`
}

// Every page has no violation of the rules of axe-core, in both schemes and at the width of a phone:
// those of WCAG 2.2, levels A and AA, and its best practices.
func TestPages(t *testing.T) {
	rules := loadRules(t)
	for _, e := range views {
		t.Run(e.example, func(t *testing.T) {
			p := startExample(t, e.example)
			for _, look := range looks {
				t.Run(look.name, func(t *testing.T) {
					b := startBrowser(t)
					b.open(p.origin, look)
					for _, v := range e.views {
						b.reach(v, p.password)
						for _, found := range b.violations(rules) {
							t.Errorf("%s: %s", v.name, found)
						}
					}
				})
			}
		})
	}
}

// A page with violations has them found: the test above would see one.
func TestViolationsAreFound(t *testing.T) {
	rules := loadRules(t)
	b := startBrowser(t)
	b.run(chromedp.Navigate(`data:text/html,<title>page</title><main><h1>page</h1><img src="data:,"><p style="color:%23aaa">pale`))
	got := strings.Join(b.violations(rules), "\n")
	for _, rule := range []string{"image-alt", "color-contrast", "html-has-lang"} {
		if !strings.Contains(got, rule) {
			t.Errorf("no %s in %s", rule, got)
		}
	}
}

// example is the command of a page.
type example struct{ origin, password string }

var passwordLine = regexp.MustCompile(`^\s+alice\s+(\S+)$`)

func startExample(t *testing.T, dir string) (e example) {
	t.Helper()
	pages.Serve(t, func(line string) bool {
		if m := pages.Origin.FindString(line); m != "" && e.origin == "" {
			e.origin = m
		}
		if m := passwordLine.FindStringSubmatch(line); m != nil {
			e.password = m[1]
		}
		return e.origin != "" && (e.password != "" || dir != "chat")
	}, pages.Build(t, filepath.Join("..", dir)), "-addr", "localhost:0")
	return e
}
