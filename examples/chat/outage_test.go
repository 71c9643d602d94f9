package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/securews/securews/examples/localcert"
)

// On a path that has died no typed text is lost, and the user learns of it, although the
// browser reports an open socket and a network.
func TestDeadPath(t *testing.T) {
	t.Parallel()
	r, s := startRelay(t)
	page := signedIn(t, r.origin, s.password)
	page.say("before")
	page.waitMessage("alice", "before")
	r.stall(true)
	page.say("into the dark")
	page.waitFor(`document.querySelector("#pending").innerText.includes("into the dark")`)
	page.waitFor(`document.querySelector("#state").dataset.state !== "connected"`)
	page.waitFor(`document.querySelector("#pending").innerText.includes("May not have arrived")`)
	page.say("later")
	page.waitFor(`document.querySelector("#composer-note").textContent.includes("Not sent")`)
	if got := page.typed(); got != "later" {
		t.Errorf("the composer has %q, want what was typed", got)
	}
	r.stall(false)
	page.waitConnected()
	// The message that waited on the path arrives now, or the user sends it again.
	page.waitFor(`(() => {
		const shown = [...document.querySelectorAll(".message .body")].some((b) => b.textContent === "into the dark");
		if (!shown) document.querySelector("#pending button")?.click();
		return shown && document.querySelector("#pending").childElementCount === 0;
	})()`)
}

// While the browser has no network, the page says so at both places, and keeps the text in the form.
func TestOfflineKeepsTheText(t *testing.T) {
	t.Parallel()
	s := startSite(t, generous)
	page := signedIn(t, s.origin, s.password)
	page.network(true)
	page.waitBanner("You are offline.", "What you type stays here.")
	page.waitFor(`document.querySelector("#state-text").textContent === "Offline"`)
	page.say("for later")
	page.waitFor(`document.querySelector("#composer-note").textContent.includes("Not sent")`)
	if got := page.typed(); got != "for later" {
		t.Errorf("the composer has %q, want what was typed", got)
	}
	page.network(false)
	page.waitConnected()
	page.run(chromedp.SendKeys(chromedp.CSS("#text"), "\r"))
	page.waitMessage("alice", "for later")
}

// A reconnect leaves the focus and the place in the messages as they are, and adds the messages of
// the meantime.
func TestReconnectKeepsThePlace(t *testing.T) {
	t.Parallel()
	s := startSite(t, generous)
	page := signedIn(t, s.origin, s.password)
	for i := range 40 {
		s.hub.deliver(said{"said", "lobby", post{From: "bob", At: time.Now(), Text: fmt.Sprint("line ", i)}})
	}
	page.waitMessage("bob", "line 39")
	page.typeText("half a sentence")
	page.value(`(document.querySelector("#scroller").scrollTop = 300, document.querySelector("#account").focus(), "")`)
	old := s.hub.rooms[0].history
	s.stop(t)
	page.waitBanner("Reconnecting in ")
	s.restart(t)
	s.hub.rooms[0].history = append(old, post{41, "bob", time.Now(), "in the meantime"})
	page.value(`(document.querySelector("#account").focus(), "")`)
	page.waitConnected()
	page.waitMessage("bob", "in the meantime")
	got := page.value(`JSON.stringify([document.activeElement.id, document.querySelector("#scroller").scrollTop,
		document.querySelectorAll(".message").length, document.querySelector("#text").value, document.querySelector("#newer").hidden])`)
	if want := `["account",300,41,"half a sentence",false]`; got != want {
		t.Errorf("after the reconnect %s, want %s", got, want)
	}
}

// The server keeps the last messages of a room. If there were more in an outage, the page and the terminal
// mark the gap; the page's mark stands in the list that a screen reader announces.
func TestGapIsMarked(t *testing.T) {
	t.Parallel()
	s := startSite(t, generous)
	page := signedIn(t, s.origin, s.password)
	shell := startTerminal(t, s.bobs, "-origin", s.origin,
		"-user", "bob", "-fingerprint", localcert.Fingerprint(s.srv.TLS.Certificates[0]))
	shell.waitFor(t, "* connected\n")
	s.hub.deliver(said{"said", "lobby", post{From: "carol", At: time.Now(), Text: "before"}})
	page.waitMessage("carol", "before")
	shell.waitFor(t, "carol: before\n")
	for _, tt := range []struct {
		missed int
		marks  string
		gap    int
	}{{maxHistory - 1, "[]", 0}, {maxHistory + 1, `["Messages that were sent meanwhile may be missing here."]`, 1}} {
		old := s.hub.rooms[0].history
		s.stop(t)
		page.waitBanner("Reconnecting in ")
		s.restart(t)
		s.hub.mu.Lock()
		s.hub.rooms[0].history, s.hub.lastID = old, old[len(old)-1].ID
		s.hub.mu.Unlock()
		for i := range tt.missed {
			s.hub.deliver(said{"said", "lobby", post{From: "carol", At: time.Now(), Text: fmt.Sprint(tt.missed, " line ", i)}})
		}
		page.waitConnected()
		end := fmt.Sprint(tt.missed, " line ", tt.missed-1)
		page.waitMessage("carol", end)
		shell.waitFor(t, "carol: "+end+"\n")
		got := page.value(`JSON.stringify([...document.querySelectorAll("#messages[aria-live=polite] > .gap")].map((m) => m.textContent))`)
		if got != tt.marks {
			t.Errorf("after %d missed messages the page marks %s, want %s", tt.missed, got, tt.marks)
		}
		if n := strings.Count(shell.screen.String(), "* messages that were sent meanwhile may be missing here\n"); n != tt.gap {
			t.Errorf("after %d missed messages the terminal marks %d gaps, want %d", tt.missed, n, tt.gap)
		}
	}
}

// A sign-out ends for the page within seconds, whether or not the server answers. The page is empty
// then, and says that the session has not ended; once the server is there, it ends.
func TestSignOutWithoutServer(t *testing.T) {
	t.Parallel()
	r, s := startRelay(t)
	page := signedIn(t, r.origin, s.password)
	page.say("something private")
	page.waitMessage("alice", "something private")
	page.typeText("a draft")
	r.stall(true)
	page.run(chromedp.Click(chromedp.CSS("#sign-out")))
	page.waitFor(`document.querySelector("#notice").textContent.startsWith("The server cannot be reached.")`)
	page.waitFor(`document.querySelector("#notice").textContent.includes("your session has not ended")`)
	got := page.value(`document.body.textContent + document.querySelector("#text").value`)
	if strings.Contains(got, "something private") || strings.Contains(got, "a draft") {
		t.Errorf("the page still has %q", got)
	}
	page.picture("sign-out-without-server")
	r.stall(false)
	page.run(chromedp.Click(chromedp.CSS("#sign-out-again")))
	page.waitFor(`document.querySelector("#notice").textContent === "You are signed out."`)
	page.waitFor(`document.querySelector("#sign-out-again").hidden`)
	page.run(chromedp.Reload(), chromedp.WaitVisible(chromedp.CSS("#user")))
}
