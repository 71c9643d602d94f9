package main

import (
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// openDevices opens the list, and waits until it shows that many sessions.
func (b *tab) openDevices(sessions int) {
	b.t.Helper()
	b.run(chromedp.Click(chromedp.CSS("#account")))
	b.waitDevices(sessions)
}

func (b *tab) waitDevices(sessions int) {
	b.t.Helper()
	b.waitFor(`document.querySelectorAll(".device").length === %d && !document.querySelector("#device-list button:disabled")`, sessions)
}

// status is that of the next request of the page.
func (b *tab) status(path string) string {
	b.t.Helper()
	return b.value(`fetch(%q).then((answer) => String(answer.status))`, path)
}

// The list of devices shows the sessions of both browsers and the connections of each. One
// connection, one session and all others can be ended (ASVS 7.5.2, 7.4.3).
func TestDevicesPage(t *testing.T) {
	p := startChat(t)
	ctx := chromium(t)
	one := newTab(t, ctx)
	one.run(chromedp.Navigate(p.origin))
	one.signIn("alice", p.passwords["alice"])
	two := newTab(t, ctx)
	two.run(chromedp.Navigate(p.origin))
	two.waitConnected()
	phone := newTab(t, ctx, chromedp.WithNewBrowserContext())
	phone.run(chromedp.Navigate(p.origin))
	phone.signIn("alice", p.passwords["alice"])

	one.openDevices(2)
	one.waitFor(`document.querySelectorAll(".device")[0].innerText.includes("This device")`)
	for i, connections := range []int{2, 1} {
		one.waitFor(`((d) => d.querySelectorAll(".connections li").length === %d && d.innerText.startsWith("Chrome on Linux") &&
			/127\.0\.0\.1 · since\s.* · last\sseen\s/.test(d.innerText))(document.querySelectorAll(".device")[%d])`, connections, i)
	}
	one.picture("devices")

	// One session: that of the other browser.
	one.run(chromedp.Click(chromedp.CSS(".device:nth-child(2) .device-head button")))
	if got := phone.onlyClose(); got != "3000 revoked" {
		t.Errorf("the other browser's socket ended with %q, want 3000 revoked", got)
	}
	phone.run(chromedp.WaitVisible(chromedp.CSS("#notice")))
	if got := phone.status("/api/me"); got != "401" {
		t.Errorf("its next request: %s, want 401", got)
	}
	one.waitDevices(1)
	one.waitFor(`document.querySelector("#end-others").hidden`)

	// One connection: that of the other tab, the newest. Its session goes on.
	one.run(chromedp.Click(chromedp.CSS(".connections li:first-child button")))
	two.waitBanner("Closed from the list of devices (4001 ended)")
	if got := two.onlyClose(); got != "4001 ended" {
		t.Errorf("the other tab's socket ended with %q, want 4001 ended", got)
	}
	two.run(chromedp.Click(chromedp.CSS("#reconnect")))
	two.waitConnected()

	// All others. The tabs of this browser come back with its new cookie.
	phone.signIn("alice", p.passwords["alice"])
	one.run(chromedp.Click(chromedp.CSS("#devices-close")))
	one.openDevices(2)
	one.run(chromedp.Click(chromedp.CSS("#end-others")))
	phone.waitFor(`closes.length === 2 && closes[1] === "3000 revoked"`)
	if got := phone.status("/api/me"); got != "401" {
		t.Errorf("the other browser's next request: %s, want 401", got)
	}
	one.waitDevices(1)
	for _, b := range []*tab{one, two} {
		b.waitFor(`sockets.length === dials.length && sockets.at(-1).readyState === 1 && closes.at(-1) === "3000 revoked"`)
		b.waitConnected()
		b.noFaults()
	}
	one.run(chromedp.Click(chromedp.CSS("#devices-close")))
	one.say("all others are gone")
	two.waitMessage("alice", "all others are gone")
}

// The administrator takes a member's role: the member's tab is asked to authenticate again, and then
// told 3003. With the role back, it comes back.
func TestRoleChangePage(t *testing.T) {
	p := startChat(t)
	ctx := chromium(t)
	alice := newTab(t, ctx)
	alice.run(chromedp.Navigate(p.origin))
	alice.signIn("alice", p.passwords["alice"])
	bob := newTab(t, ctx, chromedp.WithNewBrowserContext())
	bob.run(chromedp.Navigate(p.origin))
	bob.signIn("bob", p.passwords["bob"])
	bob.openDevices(1)
	bob.waitFor(`document.querySelector("#members").hidden`)
	bob.run(chromedp.Click(chromedp.CSS("#devices-close")))

	alice.openDevices(1)
	alice.waitFor(`document.querySelectorAll("#member-list li").length === 3`)
	press := func(label string) {
		t.Helper()
		alice.run(chromedp.Click(chromedp.CSS("#member-list li:nth-child(2) button")))
		alice.waitFor(`document.querySelector("#member-list li:nth-child(2) button:enabled")?.textContent === %q`, label)
	}
	press("Admit")
	alice.picture("members")
	bob.waitFor(`closes.length === 2`)
	if got := bob.strings(`closes`); !slices.Equal(got, []string{"3000 reauth", "3003 forbidden"}) {
		t.Errorf("bob's sockets ended with %q, want 3000 reauth and 3003 forbidden", got)
	}
	bob.waitBanner("This account may no longer be here (3003 forbidden)", "Reconnect")
	bob.picture("removed")
	if got := bob.status("/api/me"); got != "200" {
		t.Errorf("bob's session: %s, want 200, because it goes on", got)
	}

	press("Remove")
	bob.run(chromedp.Click(chromedp.CSS("#reconnect")))
	bob.waitConnected()
	alice.noFaults()
	bob.noFaults()
}
