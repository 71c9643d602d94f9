package main

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// typed is the text in the composer.
func (b *tab) typed() string {
	b.t.Helper()
	return b.value(`document.querySelector("#text").value.trim()`) // the driver types a line break after its Enter
}

func (b *tab) typeText(text string) {
	b.t.Helper()
	b.run(chromedp.SendKeys(chromedp.CSS("#text"), text))
}

func (b *tab) enterRoom(room string) {
	b.t.Helper()
	b.waitFor(`document.querySelector("button[data-room=%s]") !== null`, room)
	b.value(`document.querySelector("button[data-room=%s]").click(), ""`, room)
	b.waitIn(room)
}

// A draft belongs to one room and one user. That of the sealed room never leaves it.
func TestDrafts(t *testing.T) {
	t.Parallel()
	s := startSite(t, generous)
	page := signedIn(t, s.origin, s.password)
	page.enterRoom("sealed")
	page.typeText("for the server alone")
	for _, step := range []struct{ room, draft string }{
		{"lobby", ""},
		{"sealed", "for the server alone"},
		{"random", ""},
	} {
		// The draft changes with the click, before there is a connection to the other room.
		got := page.value(`(document.querySelector("button[data-room=%s]").click(), document.querySelector("#text").value)`, step.room)
		if got != step.draft {
			t.Errorf("in %s the composer has %q, want %q", step.room, got, step.draft)
		}
		page.waitIn(step.room)
	}
	page.typeText("half a sentence")
	page.value(`document.querySelector("#sign-out").click(), ""`)
	page.waitFor(`!document.querySelector("#sign-in").hidden`)
	if got := page.typed(); got != "" {
		t.Errorf("after the sign-out the composer has %q", got)
	}
	if got := page.value(`JSON.stringify({ ...sessionStorage, ...localStorage })`); got != "{}" {
		t.Errorf("after the sign-out the browser keeps %s", got)
	}
	page.signIn("bob", s.bobs) // in the first room, not in the last one of alice
	for _, room := range []string{"lobby", "random", "sealed"} {
		page.enterRoom(room)
		if got := page.typed(); got != "" {
			t.Errorf("bob finds %q in %s", got, room)
		}
	}
	page.noFaults()
}

// A sign in the list of rooms shows where something was said, until the user has been there.
func TestUnread(t *testing.T) {
	t.Parallel()
	s := startSite(t, generous)
	ctx := chromium(t)
	alice := newTab(t, ctx)
	alice.run(chromedp.Navigate(s.origin))
	alice.signIn("alice", s.password)
	bob := newTab(t, ctx, chromedp.WithNewBrowserContext())
	bob.run(chromedp.Navigate(s.origin))
	bob.signIn("bob", s.bobs)
	const sign = `!!document.querySelector("button[data-room=random] .unread") === %t &&
		document.querySelector("button[data-room=random]").innerText.includes("new messages") === %[1]t`
	alice.waitFor(sign, false)
	bob.enterRoom("random")
	bob.say("over here")
	alice.waitFor(sign, true)
	alice.enterRoom("random")
	alice.waitMessage("bob", "over here")
	alice.waitFor(sign, false)
	alice.enterRoom("lobby")

	// Also what was said during an outage, and while the page was in the sealed room.
	alice.enterRoom("sealed")
	bob.say("and again")
	alice.waitFor(sign, true)
	alice.enterRoom("lobby")
	alice.waitFor(sign, true)
	alice.noFaults()
}
