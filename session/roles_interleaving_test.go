//go:build !race

package session_test

import (
	"slices"
	"strings"
	"testing"
)

// A role change holds in every order of the single steps that nodes do on a store: no session
// keeps or regains the roles from before by a write or a renewal.
func TestRolesHoldInEveryInterleaving(t *testing.T) {
	t.Parallel()
	member, staff := operation{paths: []string{"/roles?u=alice&r=member"}}, operation{paths: []string{"/roles?u=alice&r=staff"}}
	for _, tt := range []struct {
		name string
		ops  []operation
		want []string
	}{
		{
			"a thief's requests write its session",
			[]operation{{user: "thief", paths: []string{"/put?v=x", "/put?v=y"}}, member},
			[]string{"member"},
		},
		{"a thief renews twice", []operation{{user: "thief", paths: []string{"/others", "/others"}}, member}, []string{"member"}},
		{
			"a thief writes and renews, two nodes set roles",
			[]operation{{user: "thief", paths: []string{"/put?v=x", "/others"}}, member, staff},
			[]string{"member", "staff"},
		},
	} {
		for _, k := range kinds {
			t.Run(tt.name+", on "+k.name, func(t *testing.T) {
				t.Parallel()
				n := everyInterleaving(t, k, tt.ops, func(o outcome) string {
					for _, b := range o.browsers {
						p, err := b.principalOf(o.m)
						if roles := strings.Join(p.Roles, " "); err == nil && !slices.Contains(tt.want, roles) {
							return "a session has the roles " + roles
						}
					}
					if !o.alive["thief"] {
						return "a session has ended"
					}
					return ""
				})
				t.Logf("%d orders", n)
			})
		}
	}
}
