package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alexedwards/scs/v2"
	"github.com/chromedp/chromedp"

	"github.com/securews/securews/middleware/storetest"
)

func TestStateFileKeepsTheContractOfAStore(t *testing.T) {
	f, err := openFile(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.db.Close() }()
	f.db.NoSync = true // the kit writes thousands of entries
	storetest.SessionStore(t, func(testing.TB) scs.Store { return fileSessions{f.db} })
}

// The file has the secret that passwords are derived from.
func TestStateFileIsForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	f, err := openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if _, err := openFile(path); err == nil || !strings.Contains(err.Error(), "another process uses it") {
		t.Errorf("a second process: %v", err)
	}
	_ = f.db.Close()
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := openFile(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others may read: %v", err)
	}
}

// With -state a killed process keeps its sessions: the page reconnects with its session, and a member
// who was removed stays removed.
func TestKilledWithState(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	p := startChat(t, "-state", path)
	ctx := chromium(t)
	page := newTab(t, ctx)
	page.run(chromedp.Navigate(p.origin))
	page.signIn("alice", p.passwords["alice"])
	page.value(`fetch("/api/members/bob", {
		method: "PUT", body: '{"member":false}', headers: { "Content-Type": "application/json" },
	}).then((answer) => String(answer.status))`)
	_ = p.cmd.Process.Kill()
	<-p.exited
	page.waitBanner("Reconnecting")
	again := startChat(t, "-addr", p.host(), "-state", path)
	page.waitConnected()
	if again.passwords["alice"] != p.passwords["alice"] {
		t.Error("alice has another password")
	}
	if got := page.value(`fetch("/api/members").then((a) => a.text())`); !strings.Contains(got, `{"name":"bob","member":false}`) {
		t.Errorf("bob is admitted again: %s", got)
	}
}
