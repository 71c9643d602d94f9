//go:build !race

// Each step waits for the one before: the race detector would find nothing here, ten times as slowly.

package session_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/securews/securews/session"
)

// node is one process's handle on a store that several share. Each call of the store is a
// step, which waits until it is let go.
type node struct {
	shared *memstore.MemStore
	wants  chan struct{} // a step waits; closed when the operation is over
	goes   chan struct{}
}

func (n *node) step() {
	n.wants <- struct{}{}
	<-n.goes
}

func (n *node) Find(key string) ([]byte, bool, error) {
	n.step()
	return n.shared.Find(key)
}

func (n *node) Commit(key string, b []byte, expiry time.Time) error {
	n.step()
	return n.shared.Commit(key, b, expiry)
}

func (n *node) Delete(key string) error {
	n.step()
	return n.shared.Delete(key)
}

// findingNode is a node whose store finds several keys in one step.
type findingNode struct{ *node }

func (n findingNode) FindMany(_ context.Context, keys ...string) (values [][]byte, err error) {
	n.step()
	for _, key := range keys {
		b, _, err := n.shared.Find(key)
		if err != nil {
			return nil, err
		}
		values = append(values, b)
	}
	return values, nil
}

// comparingNode is a node whose store compares before it writes.
type comparingNode struct{ findingNode }

func (n comparingNode) Swap(_ context.Context, key string, old, b []byte, expiry time.Time) (bool, error) {
	n.step()
	now, found, err := n.shared.Find(key)
	if err != nil || found != (old != nil) || found && string(now) != string(old) {
		return false, err
	}
	return true, n.shared.Commit(key, b, expiry)
}

// The kinds of stores.
const (
	plain = iota
	finds
	findsAndCompares
)

func (n *node) store(kind int) scs.Store {
	switch kind {
	case finds:
		return findingNode{n}
	case findsAndCompares:
		return comparingNode{findingNode{n}}
	}
	return n
}

// operation is what one node does for one browser: some requests, in a row.
type operation struct {
	user  string // whose browser; "" has no session
	paths []string
}

// outcome is how an interleaving ended.
type outcome struct {
	m        *session.Manager // on a node of its own
	status   [][]int          // of each operation's requests
	browsers []*browser
	alive    map[string]bool // by user: a session that one of the browsers held or holds
	sessions int             // in the store, also those that no browser holds
}

// interleave runs the operations, each on a node of its own, with their steps in the order of the
// schedule, and then in the order of the operations. It returns that order, and which operations
// could be chosen from at each step.
func interleave(t *testing.T, kind int, ops []operation, schedule []int) (o outcome, taken []int, choices [][]int) {
	t.Helper()
	shared := memstore.NewWithCleanupInterval(0)
	o.m = newManager(t, session.Config{Store: shared})
	site := app(t, o.m)
	before := newBrowser(t, site) // so that both marks are there
	for _, path := range []string{"/everywhere?u=alice", "/login?u=alice", "/others", "/logout"} {
		before.get(path)
	}
	signedIn := map[string]*browser{}
	nodes := make([]*node, len(ops))
	for i, op := range ops {
		nodes[i] = &node{shared, make(chan struct{}), make(chan struct{})}
		b := newBrowser(t, app(t, newManager(t, session.Config{Store: nodes[i].store(kind), StoreTimeout: 10 * time.Second})))
		if op.user != "" {
			if signedIn[op.user] == nil {
				signedIn[op.user] = newBrowser(t, site)
				signedIn[op.user].get("/login?u=alice")
			}
			b.cookies = maps.Clone(signedIn[op.user].cookies)
		}
		o.browsers, o.status = append(o.browsers, b), append(o.status, nil)
	}
	for i, op := range ops {
		go func() {
			defer close(nodes[i].wants)
			for _, path := range op.paths {
				o.status[i] = append(o.status[i], o.browsers[i].get(path).StatusCode)
			}
		}()
	}
	taken, choices = inOrder(nodes, schedule)
	o.alive = map[string]bool{}
	for i, op := range ops {
		if op.user != "" {
			o.browsers[i].h = site
			o.alive[op.user] = o.alive[op.user] || o.browsers[i].get("/me").StatusCode == http.StatusOK || signedIn[op.user].get("/me").StatusCode == http.StatusOK
		}
	}
	list, err := o.m.Sessions(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	o.sessions = len(list)
	return o, taken, choices
}

// inOrder lets the steps of the nodes go in the order of the schedule, and then in that of the
// nodes, until all are done.
func inOrder(nodes []*node, schedule []int) (taken []int, choices [][]int) {
	var waiting []int
	next := func(i int) {
		if _, ok := <-nodes[i].wants; ok {
			waiting = append(waiting, i)
		}
	}
	for i := range nodes {
		next(i)
	}
	for len(waiting) > 0 {
		slices.Sort(waiting)
		choices = append(choices, slices.Clone(waiting))
		i := waiting[0]
		if len(taken) < len(schedule) {
			i = schedule[len(taken)]
		}
		taken = append(taken, i)
		waiting = slices.DeleteFunc(waiting, func(w int) bool { return w == i })
		nodes[i].goes <- struct{}{}
		next(i)
	}
	return taken, choices
}

// everyInterleaving runs the operations once in each order of their steps, and returns how
// many there were.
func everyInterleaving(t *testing.T, kind int, ops []operation, check func(outcome) string) (runs int) {
	t.Helper()
	return everyOrder(t, func(schedule []int) ([]int, [][]int) {
		o, taken, choices := interleave(t, kind, ops, schedule)
		if wrong := check(o); wrong != "" {
			t.Errorf("%s; statuses %v, steps %v", wrong, o.status, taken)
		}
		return taken, choices
	})
}

// everyOrder runs once with each schedule that differs, and returns how many there were.
func everyOrder(t *testing.T, run func(schedule []int) (taken []int, choices [][]int)) (runs int) {
	t.Helper()
	pending := [][]int{nil}
	for len(pending) > 0 && !t.Failed() {
		schedule := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		taken, choices := run(schedule)
		runs++
		for at := len(schedule); at < len(taken); at++ {
			for _, other := range choices[at] {
				if other != taken[at] {
					pending = append(pending, append(slices.Clone(taken[:at]), other))
				}
			}
		}
	}
	return runs
}

// The ends of sessions hold in every order of the single steps that nodes do on a store,
// whether or not it compares before it writes (ASVS 7.4.1, 7.4.3).
func TestEndsHoldInEveryInterleaving(t *testing.T) {
	noneAlive := func(o outcome) string {
		for user, alive := range o.alive {
			if alive {
				return user + " outlives the sign-out"
			}
		}
		if o.sessions > 0 {
			return fmt.Sprintf("%d sessions that no browser holds outlive the sign-out", o.sessions)
		}
		return ""
	}
	everywhere := operation{paths: []string{"/everywhere?u=alice"}}
	for _, tt := range []struct {
		name  string
		ops   []operation
		kinds []int
		check func(kind int, o outcome) string
	}{
		{
			name:  "a thief renews twice, the user signs out everywhere from two nodes",
			ops:   []operation{{"thief", []string{"/others", "/others"}}, everywhere, everywhere},
			kinds: []int{plain, findsAndCompares},
			check: func(_ int, o outcome) string { return noneAlive(o) },
		},
		{
			name:  "a thief's requests write its session, the user signs out everywhere",
			ops:   []operation{{"thief", []string{"/put?v=x", "/put?v=y"}}, everywhere},
			kinds: []int{plain, findsAndCompares},
			check: func(_ int, o outcome) string { return noneAlive(o) },
		},
		{
			name:  "a request writes the session that another tab of the browser signs out",
			ops:   []operation{{"user", []string{"/put?v=x"}}, {"user", []string{"/logout"}}},
			kinds: []int{finds, findsAndCompares},
			check: func(_ int, o outcome) string { return noneAlive(o) },
		},
		{
			name:  "a browser signs in again while another tab of it signs out",
			ops:   []operation{{"user", []string{"/login?u=alice"}}, {"user", []string{"/logout"}}},
			kinds: []int{finds, findsAndCompares},
			check: func(_ int, o outcome) string {
				if o.status[1][0] != http.StatusOK || o.sessions > 1 { // the new one has a cookie of its own
					return fmt.Sprintf("%d sessions", o.sessions)
				}
				return ""
			},
		},
		{
			name:  "a user signs in again while the account is signed out everywhere",
			ops:   []operation{{"user", []string{"/login?u=alice"}}, everywhere},
			kinds: []int{plain, findsAndCompares},
			check: func(_ int, o outcome) string { // the new session may come after the sign-out
				if o.sessions > 1 || o.alive["user"] != (o.sessions == 1) {
					return fmt.Sprintf("%d sessions, one of the browser's alive: %v", o.sessions, o.alive["user"])
				}
				return ""
			},
		},
		{
			name:  "two browsers of one account sign the others out",
			ops:   []operation{{"thief", []string{"/others"}}, {"user", []string{"/others"}}},
			kinds: []int{finds, findsAndCompares},
			check: func(kind int, o outcome) string {
				both := o.status[0][0] == http.StatusOK && o.status[1][0] == http.StatusOK
				switch {
				case o.status[0][0] != http.StatusOK && o.status[1][0] != http.StatusOK:
					return "neither is told 200"
				case o.sessions != 1 || o.alive["thief"] == o.alive["user"]:
					return fmt.Sprintf("%d sessions are alive", o.sessions)
				case both && kind == findsAndCompares: // else documented: one is told 200, and is signed out
					return "both are told 200"
				}
				return ""
			},
		},
	} {
		for _, kind := range tt.kinds {
			t.Run(tt.name+[]string{"", ", on a store that finds", ", on a store that finds and compares"}[kind], func(t *testing.T) {
				t.Parallel()
				n := everyInterleaving(t, kind, tt.ops, func(o outcome) string { return tt.check(kind, o) })
				t.Logf("%d interleavings", n)
			})
		}
	}
}
