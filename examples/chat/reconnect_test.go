package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/securews/securews/examples/localcert"
	"github.com/securews/securews/session"
)

// The page and the terminal reconnect automatically when the server is restarted, with a
// new ticket each time; when the session has ended, they stop.
func TestReconnect(t *testing.T) {
	t.Parallel()
	s := startSite(t, generous)
	ctx := chromium(t)
	page := newTab(t, ctx)
	page.run(chromedp.Navigate(s.origin))
	page.signIn("alice", s.password)
	shell := startTerminal(t, s.password, "-origin", s.origin,
		"-user", "alice", "-fingerprint", localcert.Fingerprint(s.srv.TLS.Certificates[0]))
	shell.waitFor(t, "* connected\n")
	page.say("before")
	shell.waitFor(t, " alice: before\n")

	s.stop(t)
	page.waitBanner("The server is restarting (1012 restart).", "Reconnecting in ")
	shell.waitFor(t, "1012")
	page.waitBanner("The server could not be reached.", "Reconnecting in ", "Reconnect now") // the next attempt, at the ticket
	page.picture("next-banner")
	s.restart(t)
	page.waitConnected()
	page.waitFor(`document.querySelector("#banner").hidden`)
	eventually(t, "the terminal is back", func() bool { return strings.Count(shell.screen.String(), "* connected\n") == 2 })
	shell.write(t, "after")
	page.waitMessage("alice", "after")

	checkDials(t, page, 2)

	if err := s.sessions.LogoutEverywhere(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	page.waitFor(`document.querySelector("#notice").textContent.includes("session revoked (3000 revoked)")`)
	if code := shell.waitExit(t); code != 1 || !strings.Contains(shell.screen.String(), "revoked") {
		t.Errorf("the terminal ends with %d", code)
	}
	page.run(chromedp.WaitVisible(chromedp.CSS("#user")))
}

// checkDials checks that there were n sockets, each with its own ticket: without a ticket
// the client does not dial.
func checkDials(t *testing.T, b *tab, n int) {
	t.Helper()
	seen := map[string]bool{}
	for _, dial := range b.strings(`dials`) {
		url, protocols, _ := strings.Cut(dial, " ")
		if !strings.HasSuffix(url, "/socket") || !strings.HasPrefix(protocols, "chat.v1 ticket.") || seen[protocols] {
			t.Errorf("a socket for %q", dial)
		}
		seen[protocols] = true
	}
	if len(seen) != n {
		t.Errorf("%d sockets, want %d", len(seen), n)
	}
}

// The user can end the wait.
func TestReconnectNow(t *testing.T) {
	t.Parallel()
	s := startSite(t, generous)
	page := signedIn(t, s.origin, s.password)
	s.stop(t)
	page.waitBanner("The server could not be reached.", "Reconnecting in ")
	s.restart(t)
	page.value(`document.querySelector("#reconnect").click(), ""`)
	page.waitConnected()
}

// The close code of the server decides. After an expiry the page fetches one more ticket,
// and if the session is over it asks to sign in; after an idle time-out it waits for the
// user, so that a forgotten tab does not keep its session alive.
func TestEndings(t *testing.T) {
	t.Parallel()
	s := startSite(t, generous)
	s.restartWithSessions(t, 10*time.Second)
	page := signedIn(t, s.origin, s.password)
	page.waitFor(`document.querySelector("#notice").textContent.includes("Your session has ended. Please sign in again.")`)
	page.run(chromedp.WaitVisible(chromedp.CSS("#user")))
	if closed := page.onlyClose(); closed != "3000 expired" {
		t.Errorf("the socket ended with %s, want 3000 expired", closed)
	}
	checkDials(t, page, 1) // the ticket route refused the next

	s.restartWithSessions(t, time.Hour)
	page.signIn("alice", s.password)
	page.value(`sockets.at(-1).dispatchEvent(new CloseEvent("close", { code: 3008, reason: "idle" })), ""`)
	page.waitBanner("Closed: nothing happened for a while (3008 idle).", "Reconnect")
	page.waitFor(`document.querySelector("#state").dataset.state === "closed"`)
	page.run(chromedp.Click(chromedp.CSS("#reconnect")))
	page.waitConnected()
	checkDials(t, page, 3)
}

// restartWithSessions restarts the server with sessions that end after life even if they
// are in use.
func (s *site) restartWithSessions(t *testing.T, life time.Duration) {
	t.Helper()
	s.stop(t)
	var err error
	if s.sessions, err = session.New(session.Config{Issuer: s.origin, Absolute: life, Log: quiet}); err != nil {
		t.Fatal(err)
	}
	s.restart(t)
}

// A killed process loses its accounts: the page that reconnects learns that its session has
// ended, and asks to sign in.
func TestKilled(t *testing.T) {
	t.Parallel()
	p := startChat(t)
	page := newTab(t, chromium(t))
	page.run(chromedp.Navigate(p.origin))
	page.signIn("alice", p.passwords["alice"])
	_ = p.cmd.Process.Kill()
	<-p.exited
	page.waitBanner("Reconnecting")
	again := startChat(t, "-addr", p.host())
	page.waitFor(`document.querySelector("#notice").textContent.includes("Your session has ended.")`)
	page.signIn("alice", again.passwords["alice"])
}

// Without a network the page says so, and does not count seconds.
func TestOffline(t *testing.T) {
	t.Parallel()
	s := startSite(t, generous)
	page := signedIn(t, s.origin, s.password)
	page.network(true)
	page.waitBanner("You are offline.")
	s.stop(t)
	page.waitFor(`document.querySelector("#state").dataset.state === "waiting"`)
	page.waitBanner("You are offline.")
	page.picture("next-offline")
	s.restart(t)
	page.network(false)
	page.waitConnected()
	page.waitFor(`document.querySelector("#banner").hidden`)
}

// network takes the page's network away, or gives it back.
func (b *tab) network(offline bool) {
	b.t.Helper()
	b.run(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, network.OverrideNetworkState, network.OverrideNetworkStateParams{
			Offline: offline, DownloadThroughput: -1, UploadThroughput: -1,
		})
		return chromedp.Void{}, err
	})
}
