//go:build !race

package session_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2/memstore"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// Several cut-offs of a subject at once, each on a node of its own: in every order of their
// steps the store ends with one of them, and with the latest if it compares before it writes.
// Otherwise an earlier one may win, as documented.
func TestCutoffsInEveryInterleaving(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		for _, cutoffs := range []int{2, 3} {
			t.Run(fmt.Sprintf("%d, on %s", cutoffs, k.name), func(t *testing.T) {
				t.Parallel()
				lowered := 0
				orders := everyOrder(t, func(first order) []order {
					highest, others := cutoffsAtOnce(t, k, cutoffs, first)
					if highest < cutoffs {
						lowered++
					}
					return others
				})
				if k.compares != (lowered == 0) {
					t.Errorf("the latest does not hold in %d of %d orders", lowered, orders)
				}
				t.Logf("%d orders, in %d the latest does not hold", orders, lowered)
			})
		}
	}
}

// cutoffsAtOnce has each of n nodes set one, numbered from 1 by their time, and returns the one
// that holds afterwards.
func cutoffsAtOnce(t *testing.T, k kind, n int, first order) (holds int, others []order) {
	t.Helper()
	day := time.Now().Truncate(24 * time.Hour)
	shared := memstore.NewWithCleanupInterval(0)
	nodes, errs := make([]*node, n), make([]error, n)
	for i := range nodes {
		nodes[i] = newNode(shared)
		go func() {
			defer close(nodes[i].wants)
			var list middleware.Revocations
			if list, errs[i] = session.NewRevocations(k.of(nodes[i])); errs[i] == nil {
				errs[i] = list.Revoke(context.Background(), middleware.Revocation{
					Subject: "alice", Before: day.Add(time.Duration(i+1) * time.Hour), Expires: day.Add(1000 * time.Hour),
				})
			}
		}()
	}
	taken, others := inOrder(nodes, first)
	for _, err := range errs {
		if err != nil {
			t.Errorf("%v, steps %v", err, taken)
		}
	}
	list, err := session.NewRevocations(shared)
	if err != nil {
		t.Fatal(err)
	}
	for holds <= n && revoked(t, list, middleware.Principal{Subject: "alice", IssuedAt: day.Add(time.Duration(holds+1)*time.Hour - 1)}) {
		holds++
	}
	if holds < 1 || holds > n {
		t.Errorf("a cut-off holds that nobody has set: %d, steps %v", holds, taken)
	}
	return holds, others
}
