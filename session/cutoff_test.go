package session_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2/memstore"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// Within one process the latest of many cut-offs at once holds, also on a store that does not
// compare before it writes.
func TestCutoffsAtOnceInOneProcess(t *testing.T) {
	t.Parallel()
	for range 50 {
		list, err := session.NewRevocations(memstore.NewWithCleanupInterval(0))
		if err != nil {
			t.Fatal(err)
		}
		noon := time.Now().Truncate(time.Hour)
		var all sync.WaitGroup
		for _, i := range rand.Perm(20) {
			all.Go(func() {
				if err := list.Revoke(t.Context(), middleware.Revocation{Subject: "alice", Before: noon.Add(time.Duration(i))}); err !=
					nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for after, want := range map[time.Duration]bool{-1: true, 18: true, 19: false} {
			if got := revoked(t, list, middleware.Principal{Subject: "alice", IssuedAt: noon.Add(after)}); got != want {
				t.Fatalf("issued %v after the first: revoked %v, want %v", after, got, want)
			}
		}
	}
}
