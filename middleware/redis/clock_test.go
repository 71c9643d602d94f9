package redis_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// The clock of the server is set back and its log lost. An end from after it is later than one from
// before, also at the next loss. Until the node has noticed the loss, it refuses to store an end.
func TestClockSetBackUndoesNoSignOut(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := raw(t, s.Addr)
	ahead := time.Now().Add(time.Hour).UnixMilli()
	if err := client.XAdd(t.Context(), &goredis.XAddArgs{
		Stream: "securews:log",
		ID:     fmt.Sprint(ahead, "-0"), Values: []string{"canary", ""},
	}).Err(); err != nil {
		t.Fatal(err)
	}
	shared := node(t, s.Addr)
	store := shared.Sessions()
	eventually(t, "the node hears", func() bool { return shared.Ready(t.Context()) == nil })
	first, second := marked(1), marked(2)
	key := strings.Repeat("k", 43)
	commit := func(mark []byte) {
		t.Helper()
		eventually(t, "the end is stored", func() bool {
			err := store.CommitCtx(t.Context(), key, mark, time.Now().Add(time.Hour))
			if err != nil && !strings.Contains(err.Error(), "begun anew") {
				t.Fatal(err)
			}
			return err == nil
		})
	}
	holds := func(mark []byte) func() bool {
		return func() bool {
			b, _, err := store.FindCtx(t.Context(), key)
			return err == nil && string(b) == string(mark) && shared.Ready(t.Context()) == nil
		}
	}
	commit(first)
	s.Kill()
	s.restart()
	eventually(t, "the first end is stored again", holds(first))
	commit(second)
	s.Kill()
	s.restart()
	eventually(t, "the second end is stored again", holds(second))
}
