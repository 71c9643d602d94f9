//go:build !race

package session_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
)

// step is one call of the store by a node.
type step struct {
	keys   []string
	writes bool
}

// commutes reports whether two steps of different nodes, one directly after the other, do the
// same in either order.
func (s step) commutes(other step) bool {
	return !s.writes && !other.writes || !slices.ContainsFunc(s.keys, func(key string) bool { return slices.Contains(other.keys, key) })
}

// order is the beginning of an order of steps: whose step is first, second and so on.
type order struct {
	nodes  []int
	asleep []int // those whose step next would show nothing new
}

// inOrder lets the steps of the nodes go in the order that begins with first, until all are
// done. It returns the whole order, and the beginnings of others: of all that differ from each
// other in more than the order of two steps that commute.
//
// The others are found by sleep sets (Godefroid, Partial-Order Methods for the Verification of
// Concurrent Systems, §5): once orders in which a node is next have been run, the node sleeps in
// the others that have the same beginning, until a step comes that does not commute with its own.
func inOrder(nodes []*node, first order) (taken []int, others []order) {
	waiting := map[int]step{}
	next := func(i int) {
		if s, ok := <-nodes[i].wants; ok {
			waiting[i] = s
		}
	}
	for i := range nodes {
		next(i)
	}
	stillAsleep := func(asleep []int, after int) []int {
		return slices.DeleteFunc(slices.Clone(asleep), func(i int) bool { return !waiting[i].commutes(waiting[after]) })
	}
	asleep, known := first.asleep, false
	for len(waiting) > 0 {
		all := slices.Sorted(maps.Keys(waiting))
		i := all[0]
		if len(taken) < len(first.nodes) {
			i = first.nodes[len(taken)]
		} else if !known {
			awake := slices.DeleteFunc(all, func(i int) bool { return slices.Contains(asleep, i) })
			for n, other := range awake {
				if n == 0 {
					i = other
					continue
				}
				tried := slices.Concat(asleep, awake[:n])
				others = append(others, order{append(slices.Clone(taken), other), stillAsleep(tried, other)})
			}
			asleep, known = stillAsleep(asleep, i), len(awake) == 0
		}
		taken = append(taken, i)
		delete(waiting, i)
		nodes[i].goes <- struct{}{}
		next(i)
	}
	return taken, others
}

// everyOrder calls run with beginnings until each order of the steps has been run, or one that
// differs from it in the order of steps that commute alone. It returns the number of runs.
func everyOrder(t *testing.T, run func(first order) (others []order)) (runs int) {
	t.Helper()
	pending := []order{{}}
	for len(pending) > 0 && !t.Failed() {
		last := len(pending) - 1
		first := pending[last]
		pending = append(pending[:last], run(first)...)
		runs++
	}
	return runs
}

// serial is a node whose steps commute with none, so that every order is run.
type serial struct{ *node }

func (n serial) Find(key string) ([]byte, bool, error) {
	n.step(true, "every step")
	return n.shared.Find(key)
}

func (n serial) Commit(key string, b []byte, expiry time.Time) error {
	n.step(true, "every step")
	return n.shared.Commit(key, b, expiry)
}

// call of a random program.
type call struct {
	key    string
	writes bool
}

// The orders that everyOrder leaves out show nothing new: random programs, which read and write
// two keys on three nodes, end in the same ways as in every order of their steps.
func TestOrdersThatAreLeftOutShowNothingNew(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	all, run := 0, 0
	for range 50 {
		program := make([][]call, 3)
		for i := range program {
			for range 1 + random.IntN(3) {
				program[i] = append(program[i], call{[]string{"a", "b"}[random.IntN(2)], random.IntN(2) == 0})
			}
		}
		want, n := endings(t, program, func(n *node) scs.Store { return serial{n} })
		got, m := endings(t, program, func(n *node) scs.Store { return n })
		if !maps.Equal(got, want) {
			t.Errorf("%+v, seed %d: %d endings, want %d", program, seed, len(got), len(want))
		}
		all, run = all+n, run+m
	}
	t.Logf("%d of %d orders", run, all)
}

// endings returns the ways in which the program ends: all that the nodes have read, and the
// last values of the keys.
func endings(t *testing.T, program [][]call, storeOf func(*node) scs.Store) (found map[string]bool, runs int) {
	t.Helper()
	found = map[string]bool{}
	runs = everyOrder(t, func(first order) []order {
		shared := memstore.NewWithCleanupInterval(0)
		nodes, seen := make([]*node, len(program)), make([]string, len(program))
		for i, calls := range program {
			nodes[i] = newNode(shared)
			go func() {
				defer close(nodes[i].wants)
				s := storeOf(nodes[i])
				for _, c := range calls {
					if c.writes {
						_ = s.Commit(c.key, fmt.Append(nil, i, seen[i]), time.Now().Add(time.Hour))
						continue
					}
					b, _, _ := s.Find(c.key)
					seen[i] += fmt.Sprintf("(%s)", b)
				}
			}()
		}
		_, others := inOrder(nodes, first)
		a, _, _ := shared.Find("a")
		b, _, _ := shared.Find("b")
		found[fmt.Sprintf("%q, a = %s, b = %s", seen, a, b)] = true
		return others
	})
	return found, runs
}
