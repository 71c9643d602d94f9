package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// media emulates features of the medium, as pairs of name and value.
func (b *tab) media(pairs ...string) {
	b.t.Helper()
	p := emulation.SetEmulatedMediaParams{}
	for i := 0; i < len(pairs); i += 2 {
		p.Features = append(p.Features, &emulation.MediaFeature{Name: pairs[i], Value: pairs[i+1]})
	}
	b.run(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, p)
		return chromedp.Void{}, err
	})
}

// crowded returns a page with messages, a long word, an unread room and an outage to show.
func (s *site) crowded(t *testing.T) *tab {
	t.Helper()
	page := signedIn(t, s.origin, s.password)
	for _, m := range []said{
		{"said", "lobby", post{From: "bob", Text: "Shall we meet where the river bends?"}},
		{"said", "lobby", post{From: "carol", Text: strings.Repeat("unbreakable", 12)}},
		{"said", "lobby", post{From: "alice", Text: "At seven."}},
		{"said", "random", post{From: "bob", Text: "news"}},
	} {
		m.At = time.Now()
		s.hub.deliver(m)
	}
	page.waitMessage("alice", "At seven.")
	page.waitFor(`!!document.querySelector("button[data-room=random] .unread")`)
	return page
}

// WCAG 1.4.10: the page fits 320 px, which is also 1280 px at 400 % zoom, and everything can be
// reached there without scrolling sideways.
func TestNarrow(t *testing.T) {
	t.Parallel()
	s := startSite(t, generous)
	page := s.crowded(t)
	const wide = `[...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() && !e.closest(".hidden, .again") &&
		(e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === "auto" ||
		e.getBoundingClientRect().right > innerWidth + 1)).map((e) => e.tagName + "." + e.className + "#" + e.id)`
	for _, size := range []struct{ width, height int64 }{{320, 640}, {320, 256}, {390, 844}, {768, 1024}, {1440, 900}} {
		name := fmt.Sprintf("%dx%d", size.width, size.height)
		page.run(chromedp.EmulateViewport(size.width, size.height))
		got := page.strings(`["sideways " + (document.documentElement.scrollWidth > innerWidth), ...` + wide + `]`)
		if len(got) != 1 || got[0] != "sideways false" {
			t.Errorf("%s: %q", name, got)
		}
		page.picture("chat-" + name)
		narrow := page.value(`String(document.querySelector("#side-toggle").checkVisibility())`) == "true"
		if narrow != (size.width < 700) {
			t.Errorf("%s: the button for the rooms is shown: %v", name, narrow)
		}
		if narrow {
			page.run(chromedp.Click(chromedp.CSS("#side-toggle")))
			page.run(chromedp.WaitVisible(chromedp.CSS("#new-room")), chromedp.WaitVisible(chromedp.CSS("#people")))
			if got := page.strings(wide); len(got) != 0 {
				t.Errorf("%s, with the rooms: %q", name, got)
			}
			page.picture("rooms-" + name)
			page.run(chromedp.Click(chromedp.CSS("#side-toggle")))
		}
		page.openDevices(2)
		if got := page.strings(wide); len(got) != 0 {
			t.Errorf("%s, with the devices: %q", name, got)
		}
		page.picture("devices-" + name)
		page.run(chromedp.Click(chromedp.CSS("#devices-close")))
	}
	// The composer can be reached and used at 400 % zoom.
	page.run(chromedp.EmulateViewport(320, 256))
	page.say("from a small window")
	page.waitMessage("alice", "from a small window")
}

// contrasts returns the texts whose contrast is below 4.5 (WCAG 1.4.3, with the formula of its
// definition of relative luminance), with everything shown that is hidden at first. Disabled
// controls are exempt.
const contrasts = `(() => {
	const colour = (c) => {
		const n = c.match(/[\d.]+(e-?\d+)?/g).map(Number);
		return c.startsWith("color(srgb") ? [n[0] * 255, n[1] * 255, n[2] * 255, n[3] ?? 1] : [n[0], n[1], n[2], n[3] ?? 1];
	};
	const over = ([r, g, b, a], under) => [r, g, b].map((v, i) => v * a + under[i] * (1 - a));
	const ground = (e) => e ? over(colour(getComputedStyle(e).backgroundColor), ground(e.parentElement)) : [255, 255, 255];
	const light = (rgb) => {
		const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const ratio = (a, b) => ([a, b] = [light(a), light(b)].sort((x, y) => y - x), (a + 0.05) / (b + 0.05));
	const poor = new Set();
	const look = (e, pseudo, state) => {
		const under = ground(e);
		const r = ratio(over(colour(getComputedStyle(e, pseudo).color), under), under);
		seen++;
		if (!(r >= 4.5)) poor.add(e.tagName + "." + e.className + "#" + e.id + (pseudo ?? "") + " " + state + " " + r.toFixed(2));
	};
	let seen = 0;
	const all = (state) => {
		for (const e of document.querySelectorAll("body *")) {
			if (e.closest(":disabled, [aria-disabled=true], .hidden")) continue;
			const filled = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
			if (filled || /text|countdown|notice|error|note|empty/.test(e.id)) look(e, null, state);
			if (e.placeholder) look(e, "::placeholder", state);
		}
	};
	for (const e of document.querySelectorAll("[hidden]")) e.hidden = false;
	document.querySelector("#devices").show();
	document.querySelector("#composer .primary").removeAttribute("aria-disabled");
	for (const state of ["connecting", "connected", "waiting", "closed"]) {
		document.querySelector("#state").dataset.state = state;
		document.querySelector("#banner").dataset.tone = state === "waiting" ? "wait" : "bad";
		document.querySelector("#chat").classList.toggle("is-sealed");
		all(state);
	}
	const avatar = document.querySelector(".message .avatar");
	for (let hue = 0; hue < 8; hue++) { avatar.className = "avatar hue-" + hue; look(avatar, null, ""); }
	return ["looked at " + (seen > 200 ? "all" : seen), ...poor];
})()`

func TestContrast(t *testing.T) {
	t.Parallel()
	s := startSite(t, generous)
	page := s.crowded(t)
	page.openDevices(2)
	page.run(chromedp.Click(chromedp.CSS("#devices-close")))
	for _, scheme := range []string{"light", "dark"} {
		page.media("prefers-color-scheme", scheme)
		if got := page.strings(contrasts); len(got) != 1 || got[0] != "looked at all" {
			t.Errorf("%s: %q", scheme, strings.Join(got, "\n"))
		}
	}
}

// In forced colours every button has an edge, and what only a colour tells has another sign.
func TestForcedColours(t *testing.T) {
	t.Parallel()
	s := startSite(t, generous)
	page := s.crowded(t)
	page.media("forced-colors", "active")
	if got := page.strings(`[...document.querySelectorAll("button")].filter((e) => e.checkVisibility()).filter((e) => {
		const style = getComputedStyle(e);
		return style.borderStyle !== "solid" || style.borderColor === style.backgroundColor || parseFloat(style.borderWidth) < 1;
	}).map((e) => e.textContent)`); len(got) > 0 {
		t.Errorf("buttons without an edge: %q", got)
	}
	if got := page.strings(`[".dot", ".unread"].filter((s) => {
		const e = document.querySelector(s);
		return getComputedStyle(e).backgroundColor === getComputedStyle(e.parentElement).backgroundColor;
	})`); len(got) > 0 {
		t.Errorf("signs that cannot be seen: %q", got)
	}
	page.picture("forced-colours")
}

// The whole chat is used with the keyboard alone: sign in, change the room, speak, look at the
// devices, and sign out. Every control that has the focus has a name and shows the focus.
func TestKeyboardOnly(t *testing.T) {
	t.Parallel()
	s := startSite(t, generous)
	page := newTab(t, chromium(t))
	page.run(chromedp.Navigate(s.origin))
	page.waitFor(`document.activeElement.id === "user"`)
	page.run(chromedp.KeyEvent("alice\t" + s.password + "\r"))
	page.waitConnected()
	page.waitFor(`document.activeElement.id === "text"`)
	page.tabTo(`document.activeElement.dataset.room === "random"`)
	page.run(chromedp.KeyEvent("\r"))
	page.waitIn("random")
	page.waitFor(`document.activeElement.id === "text"`)
	page.run(chromedp.KeyEvent("by keys\r"))
	page.waitMessage("alice", "by keys")
	page.tabTo(`document.activeElement.id === "account"`)
	page.run(chromedp.KeyEvent("\r"))
	page.waitFor(`document.querySelector("#devices").open && document.querySelector("#devices").contains(document.activeElement)`)
	page.waitDevices(2)
	page.run(chromedp.KeyEvent("\u001b"))
	page.waitFor(`!document.querySelector("#devices").open && document.activeElement.id === "account"`)
	page.tabTo(`document.activeElement.id === "sign-out"`)
	page.run(chromedp.KeyEvent("\r"))
	page.waitFor(`document.activeElement.id === "user"`)
	page.noFaults()
}

// tabTo presses Tab until the condition holds, and looks at each stop on the way.
func (b *tab) tabTo(condition string) {
	b.t.Helper()
	for range 40 {
		b.run(chromedp.KeyEvent("\t"))
		got := b.strings(`((e) => {
			const name = e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.innerText || e.title;
			const ring = getComputedStyle(e);
			const shown = e === document.body || ring.outlineStyle !== "none";
			return [String(` + condition + `), e.tagName + "#" + e.id, name ? "" : "has no name", shown ? "" : "shows no focus"];
		})(document.activeElement)`)
		if got[2] != "" && got[1] != "BODY#" || got[3] != "" {
			b.t.Errorf("%s %s %s", got[1], got[2], got[3])
		}
		if got[0] == "true" {
			return
		}
	}
	b.t.Fatalf("no Tab leads to %s", condition)
}
