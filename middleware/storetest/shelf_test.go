package storetest_test

import (
	"testing"

	"github.com/securews/securews/middleware/storetest"
	"github.com/securews/securews/middleware/ticket"
)

// The store of the example keeps the contract.
func TestShelf(t *testing.T) {
	t.Parallel()
	one := &shelf{tickets: map[string]entry{}}
	storetest.Tickets(t, func(testing.TB) ticket.Store { return one })
}
