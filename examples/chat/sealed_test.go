package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Messages of the sealed room leave and reach the page encrypted, and are delivered to no
// other room.
func TestSealedRoom(t *testing.T) {
	t.Parallel()
	p := startChat(t)
	ctx := chromium(t)
	enter := func(user string) *tab {
		b := newTab(t, ctx, chromedp.WithNewBrowserContext())
		b.run(chromedp.Navigate(p.origin))
		b.signIn(user, p.passwords[user])
		return b
	}
	alice, bob, carol := enter("alice"), enter("bob"), enter("carol")
	alice.say("in the clear")
	bob.waitMessage("alice", "in the clear")
	if text, binary, shown := bob.framesWith(socketPath, "in the clear"); text < 3 || binary > 0 || shown == 0 {
		t.Fatalf("the recorder sees %d text and %d binary frames, and what was said in %d", text, binary, shown)
	}

	for _, b := range []*tab{alice, bob} {
		b.run(chromedp.Click(chromedp.CSS("#sealed-room")))
		b.waitIn("sealed")
		b.run(chromedp.WaitVisible(chromedp.CSS("#sealed")))
	}
	alice.say("Shall we meet where the river bends?")
	bob.waitMessage("alice", "Shall we meet where the river bends?")
	bob.say("At seven. Nobody on the way can read this.")
	alice.waitMessage("bob", "At seven. Nobody on the way can read this.")
	alice.picture("next-sealed")
	for _, b := range []*tab{alice, bob} {
		for _, word := range []string{"river", "Nobody on", `"type"`, "alice"} {
			if text, binary, shown := b.framesWith(sealedPath, word); text > 0 || binary < 7 || shown > 0 {
				t.Errorf("%d text and %d binary frames, %q in %d", text, binary, word, shown)
			}
		}
		b.noFaults()
	}

	shell := startTerminal(t, p.passwords["alice"], "-origin", p.origin, "-fingerprint", p.print, "-user", "alice", "-seal")
	shell.waitFor(t, " bob: At seven.")
	shell.write(t, "from the terminal")
	bob.waitMessage("alice", "from the terminal")

	alice.run(chromedp.Click(chromedp.CSS("#rooms button")))
	alice.waitConnected()
	alice.say("back in the lobby")
	carol.waitMessage("alice", "back in the lobby")
	carol.waitFor(`![...document.querySelectorAll(".body")].some((b) => b.textContent.includes("river"))`)
	alice.run(chromedp.WaitNotVisible(chromedp.CSS("#sealed")))
}

// pulse is a ping of the page's client, its answer, or the limit that it is told: no message.
var pulse = regexp.MustCompile(`^securews=\d+( \d+)?$`)

// framesWith counts the text and binary frames of the sockets on a path, and those of any
// kind in which a word stands.
func (b *tab) framesWith(path, word string) (text, binary, shown int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.frames {
		switch {
		case !strings.HasSuffix(f.url, path), pulse.Match(f.payload):
			continue
		case f.opcode == 1:
			text++
		case f.opcode == 2:
			binary++
		}
		if bytes.Contains(f.payload, []byte(word)) {
			shown++
		}
	}
	return text, binary, shown
}

// The server keeps the rooms apart: a connection without sealing cannot join the sealed
// room, and a sealed one can join no other.
func TestSealedRoomIsApart(t *testing.T) {
	var plain, sealed inbox
	h, v := newHub(), newVault()
	h.join(h.enter("alice", &plain), sealedRoom)
	if got := plain.take("refused"); len(got) != 1 || got[0].Reason != "sealed_only" || h.find(sealedRoom) != nil {
		t.Errorf("the sealed room without seals: %v", got)
	}
	v.join(v.enter("alice", &sealed), "lobby")
	if got := sealed.take("refused"); len(got) != 1 || got[0].Reason != "no_such_room" {
		t.Errorf("the lobby, sealed: %v", got)
	}
}
