package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/chromedp/chromedp"
	bolt "go.etcd.io/bbolt"

	"github.com/securews/securews/middleware/storetest"
)

func TestStateFileKeepsTheContractOfAStore(t *testing.T) {
	f, err := openFile(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.db.Close() }()
	f.db.NoSync = true // the kit writes thousands of entries
	storetest.SessionStore(t, func(testing.TB) scs.Store { return fileSessions{f} })
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

// A seed of another length is not replaced: that would change every password without a word.
func TestStateFileKeepsItsSeed(t *testing.T) {
	for name, tt := range map[string]struct {
		seed []byte // nil: none is stored
		want string // in the error
	}{
		"none":             {nil, ""},
		"of 32 bytes":      {make([]byte, 32), ""},
		"empty":            {[]byte{}, "secret/seed has 0 bytes, want 32"},
		"one byte too few": {make([]byte, 31), "secret/seed has 31 bytes, want 32"},
		"one too many":     {make([]byte, 33), "secret/seed has 33 bytes, want 32"},
	} {
		path := filepath.Join(t.TempDir(), "state")
		f, err := openFile(path)
		if err != nil {
			t.Fatal(err)
		}
		stored := func() (seed []byte) {
			if err := f.db.View(func(tx *bolt.Tx) error {
				seed = append(seed, tx.Bucket(secretBucket).Get(seedKey)...)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			return seed
		}
		if tt.seed != nil {
			if err := f.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(secretBucket).Put(seedKey, tt.seed) }); err != nil {
				t.Fatal(err)
			}
		}
		s, err := f.secret()
		switch {
		case tt.want == "":
			if err != nil || len(s.seed) != 32 || !bytes.Equal(s.seed, stored()) {
				t.Errorf("a seed: %s: %v", name, err)
			}
		case err == nil || !strings.Contains(err.Error(), "-state "+path+": "+tt.want) || !bytes.Equal(stored(), tt.seed):
			t.Errorf("a seed: %s: %v, want %q", name, err, tt.want)
		}
		_ = f.db.Close()
	}
}

// The file does not grow with each session that has expired, while the process runs.
func TestStateFileForgetsWhatHasExpired(t *testing.T) {
	f, err := openFile(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.db.Close() }()
	sessions := fileSessions{f}
	now := time.Now()
	for key, expiry := range map[string]time.Time{"expired": now.Add(-time.Second), "alive": now.Add(time.Hour)} {
		if err := sessions.Commit(key, []byte("value"), expiry); err != nil {
			t.Fatal(err)
		}
	}
	if n := sessionsIn(t, f); n != 2 {
		t.Fatalf("%d entries before a sweep is due, want 2", n)
	}
	f.swept = now.Add(-sweepEvery)
	if err := sessions.Commit("new", []byte("value"), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := sessionsIn(t, f); n != 2 {
		t.Errorf("%d entries, want those of the 2 sessions that live", n)
	}
}

// sessionsIn counts the entries, with those that have expired.
func sessionsIn(t *testing.T, f *stateFile) (n int) {
	t.Helper()
	if err := f.db.View(func(tx *bolt.Tx) error {
		n = tx.Bucket(sessionBucket).Stats().KeyN
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
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
