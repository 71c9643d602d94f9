package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// The panel shows the frames of the page as a proxy sees them, beside what the page reads, and how
// the sockets of both tabs end when one signs out. After that it shows nothing of the user.
func TestPanel(t *testing.T) {
	t.Parallel()
	s := startSite(t, generous)
	ctx := chromium(t)
	page := newTab(t, ctx)
	page.run(chromedp.Navigate(s.origin))
	page.signIn("alice", s.password)
	two := newTab(t, ctx)
	two.run(chromedp.Navigate(s.origin))
	two.waitConnected()
	page.run(chromedp.Click(chromedp.CSS("#panel-toggle")), chromedp.WaitVisible(chromedp.CSS("#panel")))
	page.waitFor(`document.querySelector("#connections").innerText.includes("alice, ticket, from 127.0.0.1 × 2")`)
	page.say("in the clear")
	page.waitFor(`[...document.querySelectorAll(".frame.out .open")].some((p) => p.textContent.includes("in the clear"))`)

	page.enterRoom("sealed")
	page.say("Where the river bends")
	page.waitMessage("alice", "Where the river bends")
	for _, way := range []string{"in", "out"} {
		page.waitFor(`[...document.querySelectorAll(".frame.%s")].some((f) => f.querySelector(".read").textContent.includes("river bends") &&
			/^A proxy reads (\w\w ){30}/.test(f.querySelector(".closed").textContent))`, way)
	}
	page.waitFor(`![...document.querySelectorAll(".frame > :nth-child(2)")].some((p) => p.textContent.includes("river"))`)
	page.picture("panel-sealed")

	two.run(chromedp.Click(chromedp.CSS("#sign-out")))
	for _, who := range []string{"This tab", "Another tab"} {
		page.waitFor(`[...document.querySelectorAll("#ends li")].some((e) => e.textContent.startsWith(%q + " 3000 revoked at "))`, who)
	}
	page.waitFor(`!document.querySelector("#sign-in").hidden`)
	if got := page.value(`document.querySelector("#frames").textContent + document.querySelector("#connections").textContent`); got != "" {
		t.Errorf("after the sign-out the panel has %q", got)
	}
	page.picture("panel-signed-out")
	page.noFaults()
}

// The administrator restarts the demo under a hundred sockets, from the panel. All end with 1012,
// and all come back, as the page does.
func TestStorm(t *testing.T) {
	t.Parallel()
	p := startChat(t)
	page := newTab(t, chromium(t))
	page.run(chromedp.Navigate(p.origin))
	page.signIn("alice", p.passwords["alice"])
	page.run(chromedp.Click(chromedp.CSS("#panel-toggle")), chromedp.WaitVisible(chromedp.CSS("#storm")))
	page.run(chromedp.Click(chromedp.CSS("#storm")))
	page.waitFor(`document.querySelector("#storm-report").textContent.startsWith("Restarted. 100 ended with 1012 restart. All 100 are back")`)
	page.waitConnected()
	page.waitFor(`closes.includes("1012 restart")`)
	page.waitFor(`document.querySelector("#connections").innerText.includes("alice, bearer, from 127.0.0.1 × 100")`)
	page.picture("panel-storm")
	// They go by themselves.
	page.waitFor(`document.querySelector("#connections").innerText === "alice, ticket, from 127.0.0.1"`)
}

// Only the administrator may restart the demo, and only one that browsers reach on loopback, without
// a proxy and without other nodes.
func TestStormIsForTheDemo(t *testing.T) {
	for _, tt := range []struct {
		args string
		may  bool
	}{
		{"", true},
		{"-addr 127.0.0.1:0", true},
		{"-addr :8443", false},
		{"-addr 192.0.2.1:8443", false},
		{"-behind 127.0.0.1 -origin https://app.example", false},
		{"-redis 127.0.0.1:6379 -secret file -origin https://app.example", false},
	} {
		o, err := parseOptions(strings.Fields(tt.args), nil)
		if err != nil || o.mayStorm() != tt.may {
			t.Errorf("chat %s: %v, %v, want %v", tt.args, o.mayStorm(), err, tt.may)
		}
	}

	p := startChat(t)
	c := insecure()
	for user, want := range map[string]int{"alice": http.StatusOK, "bob": http.StatusForbidden} {
		if got := getAs(t, c, p, user, "/api/storm"); got != want {
			t.Errorf("%s: %d, want %d", user, got, want)
		}
	}
	s := startSite(t, generous) // newApp without a storm
	if answer, _ := s.get(t, "/api/storm", s.cookie); answer.StatusCode != http.StatusNotFound {
		t.Errorf("without a storm: %s, want 404", answer.Status)
	}
}

func getAs(t *testing.T, c *http.Client, p *process, user, path string) (status int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.origin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", signIn(t, c, p.origin, user, p.passwords[user]))
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// HEAD is answered wherever GET is (RFC 9110 §9.3.2).
func TestHead(t *testing.T) {
	s := startSite(t, generous)
	for _, path := range []string{"/", s.page.prefix + "/chat.js", "/.well-known/jwks.json"} {
		answer, err := insecure().Head(s.origin + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("HEAD %s: %s", path, answer.Status)
		}
	}
}
