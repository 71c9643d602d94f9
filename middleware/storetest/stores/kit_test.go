package stores

import (
	"testing"

	"github.com/alexedwards/scs/v2"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/storetest"
	"github.com/securews/securews/session"
)

// Each handle has connections of its own, as each process would. These tests are not
// Parallel: session.NewRevocations waits for a store for a second, and thieves are busy.

func TestSessionStore(t *testing.T) {
	for name, address := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := address(t)
			storetest.SessionStore(t, func(t testing.TB) scs.Store { return mustOpen(t, at) })
		})
	}
}

func TestRevocations(t *testing.T) {
	for name, address := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := address(t)
			storetest.Revocations(t, func(t testing.TB) middleware.Revocations {
				list, err := session.NewRevocations(mustOpen(t, at))
				if err != nil {
					t.Fatal(err)
				}
				return list
			})
		})
	}
}
