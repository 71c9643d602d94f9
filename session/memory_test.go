package session_test

import (
	"testing"

	"github.com/alexedwards/scs/v2"
	"github.com/securews/securews/middleware/storetest"
	"github.com/securews/securews/session"
)

var _ session.Swapper = session.NewMemory().(session.Swapper)

// The default store keeps the contract of a store and of a Swapper.
func TestMemoryKeepsTheContract(t *testing.T) {
	t.Parallel()
	s := session.NewMemory()
	storetest.SessionStore(t, func(testing.TB) scs.Store { return s })
}
