//go:build !race

// Each step waits for the one before: the race detector would find nothing here, ten times as slowly.

package session_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
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
	wants  chan step // waits; closed when the operation is over
	goes   chan struct{}
}

func newNode(shared *memstore.MemStore) *node {
	return &node{shared, make(chan step), make(chan struct{})}
}

func (n *node) step(writes bool, keys ...string) {
	n.wants <- step{keys, writes}
	<-n.goes
}

func (n *node) Find(key string) ([]byte, bool, error) {
	n.step(false, key)
	return n.shared.Find(key)
}

func (n *node) Commit(key string, b []byte, expiry time.Time) error {
	n.step(true, key)
	return n.shared.Commit(key, b, expiry)
}

func (n *node) Delete(key string) error {
	n.step(true, key)
	return n.shared.Delete(key)
}

// finding is a node whose store finds several keys in one step.
type finding struct{ *node }

func (n finding) FindMany(_ context.Context, keys ...string) (values [][]byte, err error) {
	n.step(false, keys...)
	for _, key := range keys {
		b, _, err := n.shared.Find(key)
		if err != nil {
			return nil, err
		}
		values = append(values, b)
	}
	return values, nil
}

// comparing is a node whose store compares before it writes.
type comparing struct{ *node }

func (n comparing) Swap(_ context.Context, key string, old, b []byte, expiry time.Time) (bool, error) {
	n.step(true, key)
	now, found, err := n.shared.Find(key)
	if err != nil || found != (old != nil) || found && string(now) != string(old) {
		return false, err
	}
	return true, n.shared.Commit(key, b, expiry)
}

// kind is a kind of store that the nodes share.
type kind struct {
	name     string
	of       func(*node) scs.Store
	compares bool
}

var kinds = []kind{
	{"a plain store", func(n *node) scs.Store { return n }, false},
	{"a ManyFinder", func(n *node) scs.Store { return finding{n} }, false},
	{"a Swapper", func(n *node) scs.Store { return comparing{n} }, true},
	{"a ManyFinder and Swapper", func(n *node) scs.Store {
		return struct {
			scs.Store
			session.ManyFinder
			session.Swapper
		}{n, finding{n}, comparing{n}}
	}, true},
}

// operation is what one node does for one browser: some requests, in a row.
type operation struct {
	user  string // whose browser; "" has no session
	paths []string
	with  string // of the sign-in of the browser, beside its subject
}

// outcome is how an interleaving ended.
type outcome struct {
	m        *session.Manager // on a node of its own
	status   [][]int          // of each operation's requests
	browsers []*browser
	alive    map[string]bool // by user: a session that one of the browsers held or holds
	sessions int             // in the store, also those that no browser holds
}

// interleave runs the operations, each on a node of its own, with their steps in the order that
// begins with first: see [inOrder].
func interleave(t *testing.T, k kind, ops []operation, first order) (o outcome, taken []int, others []order) {
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
		nodes[i] = newNode(shared)
		b := newBrowser(t, app(t, newManager(t, session.Config{Store: k.of(nodes[i]), StoreTimeout: 10 * time.Second})))
		if op.user != "" {
			if signedIn[op.user] == nil {
				signedIn[op.user] = newBrowser(t, site)
				signedIn[op.user].get("/login?u=alice" + op.with)
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
	taken, others = inOrder(nodes, first)
	o.alive = map[string]bool{}
	for i, op := range ops {
		if op.user != "" {
			o.browsers[i].h = site
			o.alive[op.user] = o.alive[op.user] || o.browsers[i].get("/me").StatusCode == http.StatusOK ||
				signedIn[op.user].get("/me").StatusCode == http.StatusOK
		}
	}
	list, err := o.m.Sessions(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	o.sessions = len(list)
	return o, taken, others
}

// everyInterleaving runs the operations in every order of their steps: see [everyOrder].
func everyInterleaving(t *testing.T, k kind, ops []operation, check func(outcome) string) (runs int) {
	t.Helper()
	return everyOrder(t, func(first order) []order {
		o, taken, others := interleave(t, k, ops, first)
		if wrong := check(o); wrong != "" {
			t.Errorf("%s; statuses %v, steps %v", wrong, o.status, taken)
		}
		return others
	})
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
		check func(k kind, o outcome) string
	}{
		{
			name:  "a thief renews twice, the user signs out everywhere from two nodes",
			ops:   []operation{{user: "thief", paths: []string{"/others", "/others"}}, everywhere, everywhere},
			check: func(_ kind, o outcome) string { return noneAlive(o) },
		},
		{
			name:  "a thief's requests write its session, the user signs out everywhere",
			ops:   []operation{{user: "thief", paths: []string{"/put?v=x", "/put?v=y"}}, everywhere},
			check: func(_ kind, o outcome) string { return noneAlive(o) },
		},
		{
			name: "a thief renews twice, the session at the provider ends",
			ops: []operation{
				{user: "thief", paths: []string{"/others", "/others"}, with: "&sub=7&sid=s1"},
				{paths: []string{"/provider?sid=s1"}},
			},
			check: func(_ kind, o outcome) string { return noneAlive(o) },
		},
		{
			name: "a thief renews and writes, the provider signs the subject out",
			ops: []operation{
				{user: "thief", paths: []string{"/others", "/put?v=x"}, with: "&sub=7"},
				{paths: []string{"/provider?sub=7"}},
			},
			check: func(_ kind, o outcome) string { return noneAlive(o) },
		},
		{
			name: "a user signs in with a session that ends at the provider",
			ops: []operation{
				{paths: []string{"/login?u=alice&sub=7&sid=s1"}},
				{paths: []string{"/provider?sid=s1"}},
			},
			check: func(_ kind, o outcome) string { return noneAlive(o) },
		},
		{
			name:  "a request writes the session that another tab of the browser signs out",
			ops:   []operation{{user: "user", paths: []string{"/put?v=x"}}, {user: "user", paths: []string{"/logout"}}},
			check: func(_ kind, o outcome) string { return noneAlive(o) },
		},
		{
			name: "a browser signs in again while another tab of it signs out",
			ops:  []operation{{user: "user", paths: []string{"/login?u=alice"}}, {user: "user", paths: []string{"/logout"}}},
			check: func(_ kind, o outcome) string {
				if o.status[1][0] != http.StatusOK || o.sessions > 1 { // the new one has a cookie of its own
					return fmt.Sprintf("%d sessions", o.sessions)
				}
				return ""
			},
		},
		{
			name: "a user signs in again while the account is signed out everywhere",
			ops:  []operation{{user: "user", paths: []string{"/login?u=alice"}}, everywhere},
			check: func(_ kind, o outcome) string { // the new session may come after the sign-out
				if o.sessions > 1 || o.alive["user"] != (o.sessions == 1) {
					return fmt.Sprintf("%d sessions, one of the browser's alive: %v", o.sessions, o.alive["user"])
				}
				return ""
			},
		},
		{
			name: "two browsers of one account sign the others out",
			ops:  []operation{{user: "thief", paths: []string{"/others"}}, {user: "user", paths: []string{"/others"}}},
			check: func(k kind, o outcome) string {
				both := o.status[0][0] == http.StatusOK && o.status[1][0] == http.StatusOK
				switch {
				case o.status[0][0] != http.StatusOK && o.status[1][0] != http.StatusOK:
					return "neither is told 200"
				case o.sessions != 1 || o.alive["thief"] == o.alive["user"]:
					return fmt.Sprintf("%d sessions are alive", o.sessions)
				case both && k.compares: // else documented: one is told 200, and is signed out
					return "both are told 200"
				}
				return ""
			},
		},
	} {
		for _, k := range kinds {
			t.Run(tt.name+", on "+k.name, func(t *testing.T) {
				t.Parallel()
				n := everyInterleaving(t, k, tt.ops, func(o outcome) string { return tt.check(k, o) })
				t.Logf("%d orders", n)
			})
		}
	}
}
