package redis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// A node was away until the log had lost what it missed. The server has the later end of a key, and
// the node does not bring its earlier one back.
func TestNodeThatWasAwayUndoesNoSignOut(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	cut := startProxy(t, s.Addr)
	away, there := node(t, cut.addr()), node(t, s.Addr)
	first, second := marked(1), marked(2)
	key := strings.Repeat("k", 43)
	away.Sessions()
	eventually(t, "both hear", func() bool { return away.Ready(t.Context()) == nil && there.Ready(t.Context()) == nil })
	if err := away.Sessions().CommitCtx(t.Context(), key, first, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	cut.sever()
	eventually(t, "the node has noticed that it is cut off", func() bool { return away.LogState().Interrupted })
	if err := there.Sessions().CommitCtx(t.Context(), key, second, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := raw(t, s.Addr).XTrimMaxLen(t.Context(), "securews:log", 0).Err(); err != nil {
		t.Fatal(err)
	}
	resynced := make(chan struct{}, 100)
	defer away.Sessions().Follow(func(v middleware.Revocation) {
		if v.Resync {
			resynced <- struct{}{}
		}
	})()
	cut.heal()
	select {
	case <-resynced:
	case <-time.After(patience):
		t.Fatal("the node does not have its connections asked about")
	}
	b, _, err := away.Sessions().FindCtx(t.Context(), key)
	if err != nil || string(b) != string(second) {
		t.Errorf("the node that was away: %q %v, want %q", b, err, second)
	}
	b, _, err = there.Sessions().FindCtx(t.Context(), key)
	if err != nil || string(b) != string(second) {
		t.Errorf("%q %v, want %q", b, err, second)
	}
}
