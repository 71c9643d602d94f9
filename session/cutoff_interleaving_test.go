//go:build !race

package session_test

import (
	"context"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2/memstore"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// Several cut-offs of a subject at once, each on a node of its own: in every order of their
// steps the store ends with one of them, and with the latest if it compares before it writes.
// Otherwise an earlier one may win, as documented.
func TestCutOffsInEveryInterleaving(t *testing.T) {
	first := time.Now().Truncate(time.Hour)
	expires := first.Add(1000 * time.Hour) // the same for all, so that a schedule can be run again
	for _, tt := range []struct {
		name    string
		kind    int
		cutOffs int
	}{
		{"two", plain, 2},
		{"three", plain, 3},

		{"two, on a store that compares", findsAndCompares, 2},
		{"three, on a store that compares", findsAndCompares, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lowered := 0
			runs := everyOrder(t, func(schedule []int) ([]int, [][]int) {
				shared := memstore.NewWithCleanupInterval(0)
				nodes := make([]*node, tt.cutOffs)
				errs := make(chan error, tt.cutOffs)
				for i := range nodes {
					nodes[i] = &node{shared, make(chan struct{}), make(chan struct{})}
					go func() {
						defer close(nodes[i].wants)
						list, err := session.NewRevocations(nodes[i].store(tt.kind))
						if err == nil {
							err = list.Revoke(context.Background(), middleware.Revocation{Subject: "alice", Before: first.Add(time.Duration(i) * time.Hour), Expires: expires})
						}
						errs <- err
					}()
				}
				taken, choices := inOrder(nodes, schedule)
				for range nodes {
					if err := <-errs; err != nil {
						t.Errorf("%v, steps %v", err, taken)
					}
				}
				list, err := session.NewRevocations(shared)
				if err != nil {
					t.Fatal(err)
				}
				issuedBefore := func(cutOff int) bool {
					return revoked(t, list, middleware.Principal{Subject: "alice", IssuedAt: first.Add(time.Duration(cutOff)*time.Hour - 1)})
				}
				last := tt.cutOffs - 1
				switch {
				case !issuedBefore(0):
					t.Errorf("none holds, steps %v", taken)
				case issuedBefore(last + 1):
					t.Errorf("one that nobody asked for holds, steps %v", taken)
				case !issuedBefore(last):
					lowered++
				}
				return taken, choices
			})
			if compares := tt.kind == findsAndCompares; compares && lowered > 0 || !compares && lowered == 0 {
				t.Errorf("the latest does not hold in %d of %d interleavings", lowered, runs)
			}
			t.Logf("%d interleavings, in %d the latest does not hold", runs, lowered)
		})
	}
}
