package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/internal/firefox"
	"github.com/securews/securews/internal/needed"
)

// firefoxTab is a page of Firefox.
type firefoxTab struct {
	t *testing.T
	*firefox.Page
}

func openFirefox(t *testing.T, b *firefox.Browser, url string) firefoxTab {
	t.Helper()
	page, err := b.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	return firefoxTab{t, page}
}

func (f firefoxTab) value(expression string) string {
	f.t.Helper()
	got, err := f.Evaluate(expression)
	if err != nil {
		f.t.Fatal(err)
	}
	return got
}

// wait waits until a condition holds.
func (f firefoxTab) wait(condition string) {
	f.t.Helper()
	got := f.value(fmt.Sprintf(`new Promise((done) => {
		const end = Date.now() + %d;
		const look = () => {
			if (%s) done("");
			else if (Date.now() > end) done(document.body.innerText);
			else setTimeout(look, 20);
		};
		look();
	})`, patience.Milliseconds(), condition))
	if got != "" {
		f.t.Fatalf("not within %v: %s; the page: %q", patience, condition, got)
	}
}

const connectedIn = `document.querySelector("#state").dataset.state === "connected" &&
	document.querySelector("#room-name").textContent === %q`

// Firefox does what Chromium does: a draft stays in its room, a reconnect keeps place and focus, and
// the end of the other tab is shown with its code.
func TestFirefox(t *testing.T) {
	t.Parallel()
	needed.SameForServer(t, "Chromium")
	s := startSite(t, generous)
	b := firefox.Start(t)
	page := openFirefox(t, b, s.origin)
	page.value(fmt.Sprintf(`document.querySelector("#user").value = "alice", document.querySelector("#password").value = %q,
		document.querySelector("#sign-in-form").requestSubmit(), ""`, s.password))
	page.wait(fmt.Sprintf(connectedIn, "lobby"))
	two := openFirefox(t, b, s.origin)
	two.wait(fmt.Sprintf(connectedIn, "lobby"))

	page.value(`document.querySelector("#sealed-room").click(), document.querySelector("#text").value = "for the server alone", ""`)
	page.wait(fmt.Sprintf(connectedIn, "sealed"))
	if got := page.value(`document.querySelector("[data-room=lobby]").click(), document.querySelector("#text").value`); got != "" {
		t.Errorf("the draft of the sealed room is in the lobby: %q", got)
	}
	page.wait(fmt.Sprintf(connectedIn, "lobby"))

	for i := range 40 {
		s.hub.deliver(said{"said", "lobby", post{From: "bob", At: time.Now(), Text: fmt.Sprint("line ", i)}})
	}
	page.wait(`document.querySelectorAll(".message").length === 40`)
	page.value(`document.querySelector("#scroller").scrollTop = 300, document.querySelector("#account").focus(), ""`)
	s.stop(t)
	page.wait(`document.querySelector("#state").dataset.state === "waiting"`)
	s.restart(t)
	page.wait(fmt.Sprintf(connectedIn, "lobby"))
	got := page.value(`JSON.stringify([document.activeElement.id, document.querySelector("#scroller").scrollTop])`)
	if want := `["account",300]`; got != want {
		t.Errorf("after the reconnect %s, want %s", got, want)
	}
	two.wait(fmt.Sprintf(connectedIn, "lobby"))

	page.value(`document.querySelector("#panel-toggle").click(), ""`)
	two.value(`document.querySelector("#sign-out").click(), ""`)
	for _, who := range []string{"This tab", "Another tab"} {
		page.wait(fmt.Sprintf(`[...document.querySelectorAll("#ends li")].some((e) => e.textContent.startsWith(%q))`,
			who+" 3000 revoked at "))
	}
	page.wait(`!document.querySelector("#sign-in").hidden && document.querySelector("#frames").childElementCount === 0`)
	for _, line := range page.Console() {
		// The attempts while the server is away, which Firefox reports.
		if !strings.Contains(line, "NetworkError") && !strings.Contains(line, "can’t establish a connection") {
			t.Errorf("the console: %s", line)
		}
	}
}
