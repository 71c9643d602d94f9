package session_test

import (
	"os"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/securews/securews/middleware/storetest"
	"github.com/securews/securews/session"
)

// A thief who renews in a loop beside sign-outs outlives none, with the memory of the process
// and with a store that does not compare, both at once and slow. Other stores are in
// middleware/storetest/stores.
func TestThiefBesideSignOuts(t *testing.T) {
	t.Parallel()
	rounds := 300
	if os.Getenv("SECUREWS_ALL") == "1" && !racing {
		rounds = 2000
	}
	for name, create := range map[string]func() scs.Store{
		"memory":   session.NewMemory,
		"memstore": func() scs.Store { return memstore.NewWithCleanupInterval(0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := create()
			storetest.SignOuts(t, rounds, func(testing.TB) scs.Store { return s })
		})
		t.Run(name+", 2 ms a call", func(t *testing.T) {
			t.Parallel()
			s := storetest.Slow(create(), 2*time.Millisecond)
			storetest.SignOuts(t, rounds, func(testing.TB) scs.Store { return s })
		})
	}
}
