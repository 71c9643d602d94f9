package stores

import (
	"os"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/securews/securews/middleware/storetest"
)

// A thief who renews in a loop on one node outlives no sign-out on another, whether the
// store is fast or slow. Those in memory are in package session.
func TestThiefBesideSignOuts(t *testing.T) {
	t.Parallel()
	rounds := 100
	if os.Getenv("SECUREWS_ALL") == "1" && !racing {
		rounds = 2000 // a minute of one processor for all four
	}
	for name, address := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := address(t)
			storetest.SignOuts(t, rounds, func(t testing.TB) scs.Store { return mustOpen(t, addr) })
		})
		t.Run(name+", 2 ms a call", func(t *testing.T) {
			t.Parallel()
			addr := address(t)
			storetest.SignOuts(t, rounds, func(t testing.TB) scs.Store { return storetest.Slow(mustOpen(t, addr), 2*time.Millisecond) })
		})
	}
}
