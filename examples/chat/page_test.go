package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// The main scenario: sign in, chat in two tabs, sign out in one, and both sockets end.
func TestPage(t *testing.T) {
	p := startChat(t)
	ctx := chromium(t)

	one := newTab(t, ctx)
	one.run(chromedp.Navigate(p.origin))
	one.signIn("alice", p.passwords["alice"])
	two := newTab(t, ctx) // the same cookie: no signing in
	two.run(chromedp.Navigate(p.origin))
	two.waitConnected()
	bob := newTab(t, ctx, chromedp.WithNewBrowserContext())
	bob.run(chromedp.Navigate(p.origin))
	bob.signIn("bob", p.passwords["bob"])

	one.say("hello from one")
	two.waitMessage("alice", "hello from one")
	two.say("and back from two")
	one.waitMessage("alice", "and back from two")
	bob.say(`<img src=x onerror="alert(1)"> is text`)
	one.waitMessage("bob", `<img src=x onerror="alert(1)"> is text`)
	one.waitFor(`document.querySelectorAll("#people li").length === 2`)

	foreignPage(t, ctx, p)

	one.run(chromedp.Click(chromedp.CSS("#sign-out")))
	for _, b := range []*tab{one, two} {
		if got := b.onlyClose(); got != "3000 revoked" {
			t.Errorf("the socket ended with %q, want 3000 revoked", got)
		}
		b.run(chromedp.WaitVisible(chromedp.CSS("#notice")))
		b.waitFor(`document.querySelector("#notice").textContent.includes("session revoked (3000 revoked)")`)
		b.noFaults()
	}
	noTicketIn(t, one, p.log.String())
	// After a reload the page still asks to sign in.
	two.run(chromedp.Reload(), chromedp.WaitVisible(chromedp.CSS("#user")))

	// Bob is not affected.
	bob.say("still here")
	bob.waitMessage("bob", "still here")
	bob.waitFor(`closes.length === 0`)
	bob.noFaults()
}

// noTicketIn checks that the page's socket used a ticket, and that the log does not contain
// it.
func noTicketIn(t *testing.T, b *tab, log string) {
	t.Helper()
	dials := b.strings(`dials`)
	_, ticket, found := strings.Cut(strings.Join(dials, " "), "/socket chat.v1 ticket.")
	if len(dials) != 1 || !found || len(ticket) != 43 {
		t.Fatalf("the page's sockets: %q", dials)
	}
	if !strings.Contains(log, "path=/socket") || strings.Contains(log, ticket) {
		t.Error("the log does not have the handshake, or has its ticket")
	}
}

// foreignPage opens, in the browser in which alice is signed in, a page of another
// origin on the same host: the browser sends the cookie regardless of SameSite, and only
// the origin check refuses the request.
func foreignPage(t *testing.T, ctx context.Context, p *process) {
	t.Helper()
	foreign := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><link rel="icon" href="data:,"><script>new WebSocket("wss://%s/ws", %q)</script>`,
			p.host(), subprotocol)
	}))
	defer foreign.Close()
	b := newTab(t, ctx)
	b.run(chromedp.Navigate(foreign.URL))
	if got := b.onlyClose(); got != "1006 " {
		t.Errorf("the foreign page's socket ended with %q, want 1006 and nothing else", got)
	}
	eventually(t, "a line in the log that says why the foreign page was refused", func() bool {
		for line := range strings.Lines(p.log.String()) {
			if strings.Contains(line, "reason=origin_not_allowed") && strings.Contains(line, "origin="+foreign.URL) {
				return true
			}
		}
		return false
	})
}
